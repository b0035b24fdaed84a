// @ts-check
/** A reference clip for “like this clip”: recorded from the microphone or read from a file, as a mono WAV. Used by `voice_panel.js`. */

import { toWav } from "./frames.js";

export const RECORD_S = 8;
const LEAST_S = 3;
const MOST_S = 30;
const RATE_HZ = 24_000;

/** @param {File} file any audio the browser can decode @returns {Promise<Blob>} */
export async function readClip(file) {
  const bytes = await file.arrayBuffer();
  const decoded = await new OfflineAudioContext(1, 1, RATE_HZ).decodeAudioData(bytes).catch(() => null);
  if (!decoded) throw new Error("This browser cannot read that sound file. Try WAV, MP3, M4A or Ogg.");
  return clipOf(await mono(decoded));
}

/** @param {Float32Array} samples at RATE_HZ */
function clipOf(samples) {
  const seconds = samples.length / RATE_HZ;
  if (seconds < LEAST_S) throw new Error(`The clip lasts ${seconds.toFixed(1)} s. Give it at least ${LEAST_S} s of speech; 5 to 10 s are best.`);
  return toWav(samples.subarray(0, MOST_S * RATE_HZ), RATE_HZ);
}

/** @param {AudioBuffer} buffer */
async function mono(buffer) {
  const context = new OfflineAudioContext(1, Math.max(1, Math.min(buffer.length, MOST_S * RATE_HZ)), RATE_HZ);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  source.start();
  return (await context.startRendering()).getChannelData(0);
}

export class ClipRecorder {
  /** @param {HTMLProgressElement} progress */
  constructor(progress) {
    this.progress = progress;
    this.busy = false;
  }

  /** @param {string} deviceId "" for the default microphone @param {number} seconds @returns {Promise<Blob>} */
  async record(deviceId, seconds) {
    const audio = { ...(deviceId && { deviceId: { exact: deviceId } }), channelCount: { ideal: 1 } };
    const stream = await navigator.mediaDevices?.getUserMedia({ audio }).catch(() => null);
    if (!stream) throw new Error("The microphone cannot be used. Allow it beside the address, or choose a clip instead.");
    this.busy = true;
    const recording = await this.#run(new MediaRecorder(stream), seconds).finally(() => {
      for (const track of stream.getTracks()) track.stop();
      this.busy = false;
      this.progress.hidden = true;
    });
    return readClip(new File([recording], "recording"));
  }

  /** @param {MediaRecorder} recorder @param {number} seconds @returns {Promise<Blob>} */
  #run(recorder, seconds) {
    /** @type {Blob[]} */
    const parts = [];
    const began = performance.now();
    Object.assign(this.progress, { hidden: false, max: seconds, value: 0 });
    const tick = setInterval(() => {
      this.progress.value = (performance.now() - began) / 1000;
    }, 100);
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.start();
    setTimeout(() => recorder.state === "recording" && recorder.stop(), seconds * 1000);
    return new Promise((resolve) => {
      recorder.onstop = () => {
        clearInterval(tick);
        resolve(new Blob(parts, { type: recorder.mimeType }));
      };
    });
  }
}
