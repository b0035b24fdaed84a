// @ts-check
/** Once a second: reads the media path in use, joins it with the server's stats, hands on figures. Owned by `live.js`. */

import { NOTHING, difference, figures, summarise } from "./stats.js";

export class FigureTaker {
  /** @param {(now: import("./stats.js").Figures) => void} onFigures */
  constructor(onFigures) {
    this.onFigures = onFigures;
    /** @type {import("./stats.js").Totals | null} */
    this.before = null;
    /** @type {import("./protocol.js").Stats | null} */
    this.server = null;
    this.dropsBefore = 0;
    /** @type {(() => Promise<import("./stats.js").Totals>) | null} */
    this.read = null;
    /** @type {() => import("./stats.js").Measured | null} */
    this.measured = () => null;
    this.timer = setInterval(() => this.#take(), 1000);
  }

  /** @param {import("./call.js").Call} call */
  ofCall(call) {
    this.before = null;
    this.measured = () => null;
    this.read = async () => summarise((await call.peer.getStats()).values(), performance.now());
  }

  /** @param {import("./chunks.js").Chunks} chunks @param {() => number | null} rttMs */
  ofChunks(chunks, rttMs) {
    this.before = null;
    this.read = async () => chunkTotals(chunks, rttMs());
    this.measured = () => ({ glassMs: chunks.picture.glassMs, mouthMs: mouthMs(chunks), audioBufferMs: chunks.sound.head.bufferedMs });
  }

  nothing() {
    this.before = null;
    this.read = null;
  }

  async #take() {
    const read = this.read;
    if (!read) return;
    const now = await read().catch(() => null); // a connection that closed meanwhile has nothing to say
    if (!now || read !== this.read) return;
    const second = difference(this.before, now);
    this.before = now;
    if (!second) return;
    this.onFigures(figures(second, this.server, this.dropsBefore, this.measured()));
    this.dropsBefore = this.server?.dropped ?? this.dropsBefore;
  }
}

/** @param {import("./chunks.js").Chunks} chunks @param {number | null} rttMs @returns {import("./stats.js").Totals} */
function chunkTotals(chunks, rttMs) {
  const { drawn, skipped } = chunks.picture;
  return {
    ...NOTHING, atMs: performance.now(), rttMs, bytesIn: chunks.bytesIn, bytesOut: chunks.bytesOut,
    framesShown: drawn, decoded: drawn + skipped, framesDropped: skipped,
  };
}

/** From the capture of the sample that sounds now to now. @param {import("./chunks.js").Chunks} chunks */
function mouthMs(chunks) {
  const { headUs } = chunks.sound.head;
  return headUs === null ? null : performance.now() - headUs / 1000;
}
