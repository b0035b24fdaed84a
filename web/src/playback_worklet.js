// @ts-check
/** Runs in the audio thread: chunks in through the port, a steady signal out, the play head posted back. Loaded by `chunk_sound.js`. */

import { JitterRing } from "./jitter_ring.js";

const REPORT_EVERY_BLOCKS = 6; // 48 ms at 16 kHz

class Playback extends AudioWorkletProcessor {
  /** @param {AudioWorkletNodeOptions} [options] */
  constructor(options) {
    super(options);
    this.ring = new JitterRing(sampleRate);
    this.blocks = 0;
    this.port.onmessage = ({ data }) => this.ring.push(data.samples, data.captureUs);
  }

  /** @override @param {Float32Array[][]} _inputs @param {Float32Array[][]} outputs */
  process(_inputs, outputs) {
    const block = outputs[0]?.[0];
    if (block) this.ring.pull(block);
    this.blocks += 1;
    if (this.blocks % REPORT_EVERY_BLOCKS === 0) this.#report();
    return true;
  }

  #report() {
    const { headUs, bufferedMs, holes, dropped, playing } = this.ring;
    this.port.postMessage({ headUs: playing ? headUs : null, bufferedMs, holes, dropped });
  }
}

registerProcessor("mirage-playback", Playback);
