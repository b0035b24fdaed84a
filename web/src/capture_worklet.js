// @ts-check
/** Runs in the audio thread: the microphone to mono 16 kHz, posted in chunks of `chunk` samples. Loaded by `chunk_sound.js`. */

import { Resampler } from "./resampler.js";

class Capture extends AudioWorkletProcessor {
  /** @param {AudioWorkletNodeOptions} [options] */
  constructor(options) {
    super(options);
    const { rateHz, chunk } = options?.processorOptions ?? {};
    this.resampler = new Resampler(sampleRate, rateHz);
    this.chunk = new Float32Array(chunk);
    this.filled = 0;
  }

  /** @override @param {Float32Array[][]} inputs */
  process(inputs) {
    const input = inputs[0]?.[0];
    if (input) for (const sample of this.resampler.push(input)) this.#take(sample);
    return true;
  }

  /** @param {number} sample */
  #take(sample) {
    this.chunk[this.filled] = sample;
    this.filled += 1;
    if (this.filled < this.chunk.length) return;
    this.port.postMessage(this.chunk.slice());
    this.filled = 0;
  }
}

registerProcessor("mirage-capture", Capture);
