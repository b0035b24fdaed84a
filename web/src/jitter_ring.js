// @ts-check
/** The small jitter buffer of the chunk fallback: whole chunks in, blocks out, silence on a hole. Pure; runs in the worklet. */

const START_MS = 60;
const STEP_MS = 30;
const MOST_TARGET_MS = 300;
const SLACK_MS = 320;
const FADE_SAMPLES = 32;

export class JitterRing {
  /** @param {number} rateHz */
  constructor(rateHz) {
    this.rateHz = rateHz;
    this.targetMs = START_MS;
    /** @type {{ samples: Float32Array, captureUs: number }[]} */
    this.queue = [];
    this.offset = 0;
    this.waiting = 0;
    this.playing = false;
    this.lead = /** @type {number | null} */ (null);
    this.rise = 0;
    this.holes = 0;
    this.dropped = 0;
    this.headUs = /** @type {number | null} */ (null);
  }

  get bufferedMs() {
    return (this.waiting * 1000) / this.rateHz;
  }

  /** @param {Float32Array} samples @param {number} captureUs capture time of the first sample */
  push(samples, captureUs) {
    if (!samples.length) return;
    this.queue.push({ samples, captureUs });
    this.waiting += samples.length;
    while (this.queue.length > 1 && this.bufferedMs > this.targetMs + SLACK_MS) this.#dropOldest();
  }

  /** Fills `block`; returns false when it holds silence from some sample on. @param {Float32Array} block */
  pull(block) {
    block.fill(0);
    if (!this.playing) this.#begin(block.length);
    if (!this.playing) return false;
    let filled = 0;
    while (filled < block.length && this.queue.length) filled += this.#copy(block, filled);
    this.#fadeIn(block, filled);
    if (filled < block.length) this.#hole(block, filled);
    return filled === block.length;
  }

  /** Chunks arrive whole, so the margin is a wait of `targetMs` after the first one. @param {number} count */
  #begin(count) {
    if (!this.queue.length) return;
    this.lead = (this.lead ?? (this.targetMs * this.rateHz) / 1000) - count;
    if (this.lead > 0) return;
    this.lead = null;
    this.playing = true;
    this.rise = 0;
  }

  /** @param {Float32Array} block @param {number} filled */
  #copy(block, filled) {
    const chunk = this.queue[0];
    if (!chunk) return 0;
    const count = Math.min(block.length - filled, chunk.samples.length - this.offset);
    block.set(chunk.samples.subarray(this.offset, this.offset + count), filled);
    this.offset += count;
    this.waiting -= count;
    this.headUs = chunk.captureUs + (this.offset * 1e6) / this.rateHz;
    if (this.offset === chunk.samples.length) {
      this.queue.shift();
      this.offset = 0;
    }
    return count;
  }

  /** @param {Float32Array} block @param {number} filled */
  #fadeIn(block, filled) {
    for (let at = 0; at < filled && this.rise < FADE_SAMPLES; at += 1, this.rise += 1) {
      block[at] = (block[at] ?? 0) * (this.rise / FADE_SAMPLES);
    }
  }

  /** @param {Float32Array} block @param {number} filled */
  #hole(block, filled) {
    const fade = Math.min(FADE_SAMPLES, filled);
    for (let k = 1; k <= fade; k += 1) block[filled - k] = (block[filled - k] ?? 0) * ((k - 1) / fade);
    this.playing = false;
    this.holes += 1;
    this.targetMs = Math.min(MOST_TARGET_MS, this.targetMs + STEP_MS);
  }

  #dropOldest() {
    const gone = this.queue.shift();
    if (!gone) return;
    this.waiting -= gone.samples.length - this.offset;
    this.offset = 0;
    this.rise = 0;
    this.dropped += 1;
  }
}
