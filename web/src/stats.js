// @ts-check
/** Figures of the call: getStats totals to per-second figures, and honest estimates of delay. Pure but for `summarise`. */

/**
 * @typedef {{
 *   atMs: number, bytesIn: number, bytesOut: number, framesShown: number, framesDropped: number,
 *   videoBufferS: number, videoBuffered: number, audioBufferS: number, audioBuffered: number,
 *   decodeS: number, decoded: number, encodeS: number, encoded: number, rttMs: number | null,
 *   speakerS: number, spoken: number,
 * }} Totals everything getStats counts up since the connection began, plus the round trip of now
 * @typedef {{
 *   fps: number | null, kbpsIn: number, kbpsOut: number, lost: number, rttMs: number | null,
 *   videoBufferMs: number | null, audioBufferMs: number | null, decodeMs: number, encodeMs: number, speakerMs: number | null,
 * }} Second the last second of the media connection, as the page saw it
 * @typedef {{
 *   glassMs: number | null, glassP95Ms: number | null, glassMeasured: boolean,
 *   mouthMs: number | null, mouthP95Ms: number | null, mouthMeasured: boolean, fps: number | null, fpsServer: number | null,
 *   kbpsIn: number, kbpsOut: number, drops: number, skewMs: number | null, rttMs: number | null,
 *   serverVideoMs: number | null, serverAudioMs: number | null, cards: number, frozen: number,
 *   videoBufferMs: number | null, audioBufferMs: number | null,
 * }} Figures what the charts show and `report` sends
 */

/**
 * @typedef {import("./delays.js").Spread} Spread
 * @typedef {{ glass: Spread | null, mouth: Spread | null, audioBufferMs?: number }} Measured what this page saw itself; null while it cannot
 */

/** @type {Totals} */
export const NOTHING = {
  atMs: 0, bytesIn: 0, bytesOut: 0, framesShown: 0, framesDropped: 0, videoBufferS: 0, videoBuffered: 0,
  audioBufferS: 0, audioBuffered: 0, decodeS: 0, decoded: 0, encodeS: 0, encoded: 0, rttMs: null,
  speakerS: 0, spoken: 0,
};

const SCREEN_MS = 16;
const MICROPHONE_MS = 20;
/** Where the browser does not say how long its sound card takes. */
export const SPEAKER_MS = 20;
const BLOCK_MS = 10;
/** Of sound; what the server takes for it. */
const PACKET_MS = 20;

/** Reads a report of RTCPeerConnection.getStats. @param {Iterable<Record<string, any>>} entries @param {number} atMs @returns {Totals} */
export function summarise(entries, atMs) {
  const totals = { ...NOTHING, atMs };
  for (const entry of entries) {
    if (entry.type === "inbound-rtp") inbound(totals, entry);
    if (entry.type === "outbound-rtp") outbound(totals, entry);
    if (entry.type === "media-playout") {
      totals.speakerS = entry.totalPlayoutDelay ?? 0;
      totals.spoken = entry.totalSamplesCount ?? 0;
    }
    if (entry.type === "candidate-pair" && entry.nominated && entry.currentRoundTripTime !== undefined) {
      totals.rttMs = entry.currentRoundTripTime * 1000;
    }
  }
  return totals;
}

/** @param {Totals} totals @param {Record<string, any>} entry */
function inbound(totals, entry) {
  totals.bytesIn += entry.bytesReceived ?? 0;
  const kind = entry.kind === "video" ? "video" : "audio";
  totals[`${kind}BufferS`] = entry.jitterBufferDelay ?? 0;
  totals[`${kind}Buffered`] = entry.jitterBufferEmittedCount ?? 0;
  if (kind === "audio") return;
  totals.framesShown = (entry.framesDecoded ?? 0) - (entry.framesDropped ?? 0);
  totals.framesDropped = entry.framesDropped ?? 0;
  totals.decodeS = entry.totalDecodeTime ?? 0;
  totals.decoded = entry.framesDecoded ?? 0;
}

/** @param {Totals} totals @param {Record<string, any>} entry */
function outbound(totals, entry) {
  totals.bytesOut += entry.bytesSent ?? 0;
  if (entry.kind !== "video") return;
  totals.encodeS = entry.totalEncodeTime ?? 0;
  totals.encoded = entry.framesEncoded ?? 0;
}

/** Null until there are two readings of one connection, in order. @param {Totals | null} before @param {Totals} now @returns {Second | null} */
export function difference(before, now) {
  if (!before || now.atMs <= before.atMs || now.bytesIn < before.bytesIn) return null;
  const seconds = (now.atMs - before.atMs) / 1000;
  const each = (/** @type {number} */ total, /** @type {number} */ count) => (count > 0 ? (total * 1000) / count : null);
  const shown = now.framesShown - before.framesShown;
  return {
    fps: now.decoded > 0 ? Math.max(0, shown) / seconds : null,
    kbpsIn: ((now.bytesIn - before.bytesIn) * 8) / 1000 / seconds,
    kbpsOut: (Math.max(0, now.bytesOut - before.bytesOut) * 8) / 1000 / seconds,
    lost: Math.max(0, now.framesDropped - before.framesDropped),
    rttMs: now.rttMs,
    videoBufferMs: each(now.videoBufferS - before.videoBufferS, now.videoBuffered - before.videoBuffered),
    audioBufferMs: each(now.audioBufferS - before.audioBufferS, now.audioBuffered - before.audioBuffered),
    decodeMs: each(now.decodeS - before.decodeS, now.decoded - before.decoded) ?? 0,
    encodeMs: each(now.encodeS - before.encodeS, now.encoded - before.encoded) ?? 0,
    speakerMs: each(now.speakerS - before.speakerS, now.spoken - before.spoken),
  };
}

/**
 * Camera to screen and mouth to ear, composed of what each side knows; null while a part is missing. An estimate: the
 * camera's own delay is taken as one frame, the sound card's as 20 ms each way, the screen's as one refresh.
 * @param {Second} second @param {{ video_ms_p50: number, audio_ms_p50: number }} server
 */
export function estimate(second, server) {
  const { fps, rttMs, videoBufferMs, audioBufferMs } = second;
  const seen = fps && server.video_ms_p50 > 0 && rttMs !== null && videoBufferMs !== null;
  const heard = server.audio_ms_p50 > 0 && rttMs !== null && audioBufferMs !== null;
  return {
    glassMs: seen ? 1000 / fps + second.encodeMs + rttMs + server.video_ms_p50 + videoBufferMs + second.decodeMs + SCREEN_MS : null,
    mouthMs: heard ? MICROPHONE_MS + rttMs + server.audio_ms_p50 + audioBufferMs + SPEAKER_MS : null,
  };
}

/**
 * From the lips to the ear: to the delay from a sound's capture to its way into the sound card's queue comes what lies
 * before and behind. The server has taken off already that libwebrtc reports voice with the time at which a packet leaves;
 * a sample is as old as the device's buffer where that is longer than the packet.
 * @param {Spread | null} played @param {number | null} microphoneMs the capture device's buffer @param {number} speakerMs
 * @returns {Spread | null}
 */
export function mouthToEar(played, microphoneMs, speakerMs) {
  if (!played) return null;
  const around = Math.max(0, (microphoneMs ?? 0) + BLOCK_MS - PACKET_MS) + speakerMs;
  return { p50: played.p50 + around, p95: played.p95 + around };
}

/** A delay shorter than the server alone took is of a clock that is not understood. @param {Spread | null | undefined} spread @param {number} serverMs */
export function possible(spread, serverMs) {
  return spread && spread.p50 > serverMs ? spread : null;
}

/**
 * @param {Second} second @param {import("./protocol.js").Stats | null} server @param {number} dropsBefore the server's count a second ago
 * @param {Measured | null} measured null where delays can only be estimated
 * @returns {Figures}
 */
export function figures(second, server, dropsBefore, measured) {
  const estimated = server ? estimate(second, server) : { glassMs: null, mouthMs: null };
  const glass = possible(measured?.glass, server?.video_ms_p50 ?? 0);
  const mouth = possible(measured?.mouth, server?.audio_ms_p50 ?? 0);
  return {
    glassMs: glass?.p50 ?? estimated.glassMs, glassP95Ms: glass?.p95 ?? null, glassMeasured: glass !== null,
    mouthMs: mouth?.p50 ?? estimated.mouthMs, mouthP95Ms: mouth?.p95 ?? null, mouthMeasured: mouth !== null,
    fps: second.fps, fpsServer: server?.fps_out ?? null,
    kbpsIn: second.kbpsIn, kbpsOut: second.kbpsOut,
    drops: second.lost + Math.max(0, (server?.dropped ?? 0) - dropsBefore),
    skewMs: server?.skew_ms ?? null, rttMs: second.rttMs,
    serverVideoMs: server?.video_ms_p50 ?? null, serverAudioMs: server?.audio_ms_p50 ?? null,
    cards: server?.cards ?? 0, frozen: server?.frozen ?? 0,
    videoBufferMs: second.videoBufferMs, audioBufferMs: measured?.audioBufferMs ?? second.audioBufferMs,
  };
}

/** @param {Figures} now @returns {import("./protocol.js").Report} */
export function report(now) {
  const ms = (/** @type {number | null} */ value) => (value === null || !(value >= 0) ? null : Math.min(600_000, value));
  return {
    type: "report", rtt_ms: ms(now.rttMs), jitter_video_ms: ms(now.videoBufferMs), jitter_audio_ms: ms(now.audioBufferMs),
    glass_ms: ms(now.glassMs), mouth_ms: ms(now.mouthMs), fps_shown: ms(now.fps), frames_dropped: Math.round(now.drops),
  };
}
