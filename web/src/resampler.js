// @ts-check
/** Streaming sample-rate conversion by windowed sinc, for the capture worklet (48 or 44.1 kHz down to 16 kHz). Pure. */

const PHASES = 256;
const LOBES = 12;

export class Resampler {
  /** @param {number} fromHz @param {number} toHz */
  constructor(fromHz, toHz) {
    this.step = fromHz / toHz;
    this.reach = Math.ceil(LOBES * Math.max(1, this.step));
    this.kernels = kernels(this.reach, 0.92 / Math.max(1, this.step));
    this.history = new Float32Array(2 * this.reach);
    this.at = 0; // fractional input position of the next output, counted from the start of `history`
  }

  /** Returns what is ready; delayed by `reach` input samples. @param {Float32Array} input @returns {Float32Array} */
  push(input) {
    const line = new Float32Array(this.history.length + input.length);
    line.set(this.history);
    line.set(input, this.history.length);
    const last = line.length - 2 * this.reach;
    const output = new Float32Array(Math.max(0, Math.ceil((last - this.at) / this.step)));
    for (let n = 0; n < output.length; n += 1, this.at += this.step) output[n] = this.#sample(line, this.at);
    this.at -= input.length;
    this.history = line.slice(line.length - this.history.length);
    return output;
  }

  /** @param {Float32Array} line @param {number} at */
  #sample(line, at) {
    const whole = Math.floor(at);
    const kernel = /** @type {Float32Array} */ (this.kernels[Math.floor((at - whole) * PHASES)]);
    let sum = 0;
    for (let k = 0; k < kernel.length; k += 1) sum += (line[whole + k] ?? 0) * (kernel[k] ?? 0);
    return sum;
  }
}

/** One Hann-windowed sinc per phase, each of sum 1. @param {number} reach @param {number} cutoff share of Nyquist */
function kernels(reach, cutoff) {
  return Array.from({ length: PHASES }, (_, phase) => {
    const kernel = new Float32Array(2 * reach);
    for (let k = 0; k < kernel.length; k += 1) kernel[k] = windowedSinc(k - reach + 1 - phase / PHASES, reach, cutoff);
    const sum = kernel.reduce((total, each) => total + each, 0);
    return kernel.map((each) => each / sum);
  });
}

/** @param {number} x @param {number} reach @param {number} cutoff */
function windowedSinc(x, reach, cutoff) {
  if (Math.abs(x) >= reach) return 0;
  const sinc = x === 0 ? 1 : Math.sin(Math.PI * x * cutoff) / (Math.PI * x * cutoff);
  return sinc * (0.5 + 0.5 * Math.cos((Math.PI * x) / reach));
}
