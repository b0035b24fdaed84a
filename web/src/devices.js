// @ts-check
/** Camera, microphone, speaker: asking for them, and every way they fail, as a sentence. `live.js` holds the streams. */

/**
 * @typedef {"video" | "audio"} Kind
 * @typedef {{ camera: string, microphone: string, headphones: boolean }} Choice device ids, "" for the default one
 * @typedef {{ code: string, sentence: string, kind: Kind | "both" }} Problem
 */

const NOUN = { video: "camera", audio: "microphone", both: "camera and microphone" };
const ASIDE = {
  video: "You can go on with your voice alone.", audio: "You can go on with your picture alone.",
  both: "At least one of them is needed.",
};

export const INSECURE =
  "This browser gives no camera to this address. Open the page over https, or on the server itself as http://localhost.";

/**
 * @param {{ name: string }} error a DOMException of getUserMedia @param {Kind | "both"} kind
 * @param {boolean} [alone] the other kind fails too
 * @returns {Problem}
 */
export function deviceProblem(error, kind, alone = false) {
  const noun = NOUN[kind];
  const aside = ASIDE[alone ? "both" : kind];
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return { kind, code: "denied", sentence: `The browser may not use the ${noun}. Allow it with the icon beside the address, then press “Go live” again.` };
    case "NotReadableError":
    case "AbortError":
      return { kind, code: "busy", sentence: `The ${noun} is in use by another program. Close that program, then press “Go live” again. ${aside}` };
    case "NotFoundError":
      return { kind, code: "missing", sentence: `No ${noun} was found. Plug one in; it is used as soon as it appears. ${aside}` };
    case "OverconstrainedError":
      return { kind, code: "chosen_missing", sentence: `The chosen ${noun} is not there. Pick another one under Devices.` };
    case "InsecureContext":
      return { kind, code: "insecure", sentence: INSECURE };
    default:
      return { kind, code: "unusable", sentence: `The ${noun} could not be started (${error.name}). Unplug it and plug it in again, or pick another one under Devices.` };
  }
}

/** @param {Choice} choice @returns {{ video: MediaTrackConstraints, audio: MediaTrackConstraints }} */
export function constraints(choice) {
  return {
    video: {
      ...(choice.camera && { deviceId: { exact: choice.camera } }),
      width: { ideal: 512 }, height: { ideal: 512 }, frameRate: { ideal: 25, max: 30 },
    },
    audio: {
      ...(choice.microphone && { deviceId: { exact: choice.microphone } }),
      channelCount: { ideal: 1 }, echoCancellation: !choice.headphones,
      noiseSuppression: !choice.headphones, autoGainControl: true,
    },
  };
}

/**
 * Asks for both; where that fails, for each alone, so that one that works is used.
 * @param {Choice} choice
 * @returns {Promise<{ stream: MediaStream | null, problems: Problem[] }>}
 */
export async function openDevices(choice) {
  if (!navigator.mediaDevices) return { stream: null, problems: [deviceProblem({ name: "InsecureContext" }, "both")] };
  const wanted = constraints(choice);
  const both = await attempt(wanted);
  if (both.stream) return { stream: both.stream, problems: [] };
  const video = await attempt({ video: wanted.video });
  const audio = await attempt({ audio: wanted.audio });
  const tracks = [...(video.stream?.getTracks() ?? []), ...(audio.stream?.getTracks() ?? [])];
  return { stream: tracks.length ? new MediaStream(tracks) : null, problems: together(video.error, audio.error) };
}

/** @param {Kind} kind @param {Choice} choice @returns {Promise<{ track: MediaStreamTrack | null, problem: Problem | null }>} */
export async function openOne(kind, choice) {
  const got = await attempt({ [kind]: constraints(choice)[kind] });
  return { track: got.stream?.getTracks()[0] ?? null, problem: got.error && deviceProblem(got.error, kind) };
}

/** @param {{ name: string } | null} video @param {{ name: string } | null} audio @returns {Problem[]} */
export function together(video, audio) {
  if (video && audio && video.name === audio.name) return [deviceProblem(video, "both")];
  const neither = video !== null && audio !== null;
  return [video && deviceProblem(video, "video", neither), audio && deviceProblem(audio, "audio", neither)].filter((each) => each !== null);
}

/** @param {MediaStreamConstraints} wanted @returns {Promise<{ stream: MediaStream | null, error: { name: string } | null }>} */
async function attempt(wanted) {
  try {
    return { stream: await navigator.mediaDevices.getUserMedia(wanted), error: null };
  } catch (error) {
    return { stream: null, error: error instanceof Error ? error : { name: "UnknownError" } };
  }
}

/** The loudness of the microphone, -60 to 0 dBFS as 0 to 1. Read by the meter in `device_panel.js`. */
export class LevelMeter {
  constructor() {
    this.context = new AudioContext();
    this.analyser = this.context.createAnalyser();
    this.analyser.fftSize = 1024;
    this.samples = new Float32Array(this.analyser.fftSize);
    /** @type {MediaStreamAudioSourceNode | null} */
    this.source = null;
  }

  /** @param {MediaStreamTrack | null} track */
  listen(track) {
    this.source?.disconnect();
    this.source = track && this.context.createMediaStreamSource(new MediaStream([track]));
    this.source?.connect(this.analyser);
    if (track) void this.context.resume();
  }

  level() {
    if (!this.source) return 0;
    this.analyser.getFloatTimeDomainData(this.samples);
    let energy = 0;
    for (const sample of this.samples) energy += sample * sample;
    const decibels = 10 * Math.log10(energy / this.samples.length + 1e-9);
    return Math.min(1, Math.max(0, 1 + decibels / 60));
  }
}
