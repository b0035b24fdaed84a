// @ts-check
/** The binary frame of the chunk fallback (signaling/protocol.py, pack_chunk), and PCM16. Pure. */

export const SOUND = 1;
export const PICTURE = 2;
export const RATE_HZ = 16_000;
export const CHUNK_SAMPLES = 3072;
const HEADER_BYTES = 16;
const VERSION = 1;

/** @typedef {{ kind: number, sequence: number, captureUs: number, payload: Uint8Array<ArrayBuffer> }} Chunk */

/**
 * @param {number} kind @param {number} sequence @param {number} captureUs
 * @param {ArrayBuffer} payload
 * @returns {ArrayBuffer}
 */
export function packChunk(kind, sequence, captureUs, payload) {
  const frame = new Uint8Array(HEADER_BYTES + payload.byteLength);
  const header = new DataView(frame.buffer);
  header.setUint8(0, kind);
  header.setUint8(1, VERSION);
  header.setUint32(4, sequence >>> 0, true);
  header.setBigUint64(8, BigInt(Math.max(0, Math.round(captureUs))), true);
  frame.set(new Uint8Array(payload), HEADER_BYTES);
  return frame.buffer;
}

/** Null for a frame this page does not know. @param {ArrayBuffer} data @returns {Chunk | null} */
export function unpackChunk(data) {
  if (data.byteLength <= HEADER_BYTES) return null;
  const header = new DataView(data);
  const kind = header.getUint8(0);
  if (header.getUint8(1) !== VERSION || (kind !== SOUND && kind !== PICTURE)) return null;
  return {
    kind, sequence: header.getUint32(4, true), captureUs: Number(header.getBigUint64(8, true)),
    payload: new Uint8Array(data, HEADER_BYTES),
  };
}

/** @param {Float32Array} samples in [-1, 1], clipped @returns {ArrayBuffer} little-endian PCM16 */
export function toPcm16(samples) {
  const view = new DataView(new ArrayBuffer(samples.length * 2));
  samples.forEach((sample, at) => {
    const clipped = Math.max(-1, Math.min(1, sample));
    view.setInt16(at * 2, Math.round(clipped * (clipped < 0 ? 32768 : 32767)), true);
  });
  return view.buffer;
}

/** @param {Uint8Array} bytes little-endian PCM16; a last odd byte is left out @returns {Float32Array<ArrayBuffer>} */
export function fromPcm16(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const samples = new Float32Array(bytes.byteLength >> 1);
  for (let at = 0; at < samples.length; at += 1) samples[at] = view.getInt16(at * 2, true) / 32768;
  return samples;
}

/** A mono PCM16 WAV file (RIFF). @param {Float32Array} samples @param {number} rateHz @returns {Blob} */
export function toWav(samples, rateHz) {
  const pcm = toPcm16(samples);
  const header = new DataView(new ArrayBuffer(44));
  const write = (/** @type {number} */ at, /** @type {string} */ text) =>
    [...text].forEach((letter, step) => header.setUint8(at + step, letter.charCodeAt(0)));
  write(0, "RIFF"); header.setUint32(4, 36 + pcm.byteLength, true); write(8, "WAVEfmt ");
  header.setUint32(16, 16, true); header.setUint16(20, 1, true); header.setUint16(22, 1, true);
  header.setUint32(24, rateHz, true); header.setUint32(28, rateHz * 2, true);
  header.setUint16(32, 2, true); header.setUint16(34, 16, true);
  write(36, "data"); header.setUint32(40, pcm.byteLength, true);
  return new Blob([header.buffer, pcm], { type: "audio/wav" });
}

/** Capture times of a running stream of samples: continuous, and anchored anew when the clocks have parted by 60 ms. */
export class SampleClock {
  /** @param {number} rateHz */
  constructor(rateHz) {
    this.rateHz = rateHz;
    this.nextMs = /** @type {number | null} */ (null);
  }

  /** The capture time, in us, of the first of `count` samples whose last one arrived at `nowMs`. @param {number} count @param {number} nowMs */
  stamp(count, nowMs) {
    const lengthMs = (count * 1000) / this.rateHz;
    const heardMs = nowMs - lengthMs;
    if (this.nextMs === null || Math.abs(heardMs - this.nextMs) > 60) this.nextMs = heardMs;
    const startMs = this.nextMs;
    this.nextMs += lengthMs;
    return Math.max(0, Math.round(startMs * 1000));
  }
}
