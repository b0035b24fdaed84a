// @ts-check
/** The picture half of the chunk fallback: camera to JPEG, returned JPEG to the canvas in step with the sound. Owned by `chunks.js`. */

import { PICTURE, packChunk } from "./frames.js";

const SIDE_PX = 512;
const INTERVAL_MS = 1000 / 15;
const QUALITY = 0.72;
const MOST_WAITING_BYTES = 160_000;
const HOLD_MS = 600;

export class ChunkPicture {
  /** @param {HTMLVideoElement} camera the local preview @param {HTMLCanvasElement} screen @param {(chunk: ArrayBuffer, mostWaitingBytes: number) => boolean} send */
  constructor(camera, screen, send) {
    this.camera = camera;
    this.screen = screen;
    this.send = send;
    this.pad = new OffscreenCanvas(SIDE_PX, SIDE_PX);
    this.sequence = 0;
    this.timer = 0;
    this.drawer = 0;
    this.muted = false;
    this.drawn = 0;
    this.skipped = 0;
    this.lastUs = 0;
    this.glassMs = /** @type {number | null} */ (null);
    /** @type {{ bitmap: ImageBitmap, captureUs: number, cameMs: number }[]} */
    this.waiting = [];
    /** @type {() => number | null} */
    this.soundHeadUs = () => null;
  }

  start() {
    const turn = async () => {
      const began = performance.now();
      await this.#shoot();
      if (this.timer) this.timer = setTimeout(turn, Math.max(4, INTERVAL_MS - (performance.now() - began)));
    };
    this.timer = setTimeout(turn, 0);
    this.drawer = setInterval(() => this.#draw(), 16);
  }

  /** @param {Uint8Array<ArrayBuffer>} jpeg @param {number} captureUs */
  async show(jpeg, captureUs) {
    const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" })).catch(() => null);
    if (!bitmap) return void (this.skipped += 1); // a torn frame: the next one is 66 ms away
    this.waiting.push({ bitmap, captureUs, cameMs: performance.now() });
  }

  close() {
    clearTimeout(this.timer);
    clearInterval(this.drawer);
    this.timer = 0;
    for (const { bitmap } of this.waiting) bitmap.close();
    this.waiting = [];
  }

  async #shoot() {
    const { videoWidth: width, videoHeight: height } = this.camera;
    const pen = this.pad.getContext("2d");
    if (!width || !pen || this.muted) return;
    const scale = Math.min(1, SIDE_PX / Math.min(width, height));
    const [wide, high] = [2 * Math.round((width * scale) / 2), 2 * Math.round((height * scale) / 2)];
    if (this.pad.width !== wide || this.pad.height !== high) Object.assign(this.pad, { width: wide, height: high });
    const captureUs = Math.round(performance.now() * 1000);
    pen.drawImage(this.camera, 0, 0, wide, high);
    const jpeg = await (await this.pad.convertToBlob({ type: "image/jpeg", quality: QUALITY })).arrayBuffer();
    if (this.muted || !this.timer) return;
    const sent = this.send(packChunk(PICTURE, this.sequence, captureUs, jpeg), MOST_WAITING_BYTES);
    if (sent) this.sequence += 1;
    else this.skipped += 1;
  }

  /** The newest picture whose time has come on the sound's clock; without sound, the newest. */
  #draw() {
    const headUs = this.soundHeadUs();
    const now = performance.now();
    let due = -1;
    this.waiting.forEach(({ captureUs, cameMs }, at) => {
      if (headUs === null || captureUs <= headUs + 40_000 || now - cameMs > HOLD_MS) due = at;
    });
    if (due < 0) return;
    const ready = this.waiting.splice(0, due + 1);
    this.skipped += ready.length - 1;
    const last = ready.at(-1);
    if (last && last.captureUs >= this.lastUs) this.#paint(last.bitmap, last.captureUs);
    for (const { bitmap } of ready) bitmap.close();
  }

  /** @param {ImageBitmap} bitmap @param {number} captureUs */
  #paint(bitmap, captureUs) {
    if (this.screen.width !== bitmap.width || this.screen.height !== bitmap.height) {
      Object.assign(this.screen, { width: bitmap.width, height: bitmap.height });
    }
    this.screen.getContext("2d")?.drawImage(bitmap, 0, 0);
    this.lastUs = captureUs;
    this.drawn += 1;
    this.glassMs = performance.now() - captureUs / 1000;
  }
}
