// @ts-check
/** Once a second: reads the media path in use, joins it with the server's stats, hands on figures. Owned by `live.js`. */

import { clockOffsetMs } from "./delays.js";
import { MediaWatch } from "./media_watch.js";
import { NOTHING, SPEAKER_MS, difference, figures, mouthToEar, summarise } from "./stats.js";

/**
 * @typedef {{
 *   onFigures: (now: import("./stats.js").Figures) => void, serverClock: () => import("./delays.js").ServerClock | null,
 *   covered: () => boolean, speakerMs: () => number | null, microphoneMs: () => number | null,
 * }} TakerHooks `covered` while stand-ins for the caller are shown; the sound devices' own delays, null where unknown
 */

export class FigureTaker {
  /** @param {TakerHooks} hooks */
  constructor(hooks) {
    this.hooks = hooks;
    /** @type {import("./stats.js").Totals | null} */
    this.before = null;
    /** @type {import("./protocol.js").Stats | null} */
    this.server = null;
    this.dropsBefore = 0;
    /** @type {(() => Promise<import("./stats.js").Totals>) | null} */
    this.read = null;
    /** @type {(second: import("./stats.js").Second) => import("./stats.js").Measured | null} */
    this.measured = () => null;
    /** @type {MediaWatch | null} */
    this.watch = null;
    this.timer = setInterval(() => this.#take(), 1000);
  }

  /** The server's figures of the last second. @param {import("./protocol.js").Stats} stats */
  heard(stats) {
    this.server = stats;
    this.watch?.take(stats, clockOffsetMs(this.hooks.serverClock(), stats.reports_ahead_ms));
  }

  /** @param {import("./call.js").Call} call @param {HTMLVideoElement} screen where its picture is shown */
  ofCall(call, screen) {
    this.nothing();
    const watch = new MediaWatch(call.peer, screen, this.hooks.covered);
    this.watch = watch;
    this.measured = (second) => this.#seen(watch, second);
    this.read = async () => summarise((await call.peer.getStats()).values(), performance.now());
  }

  /** @param {import("./chunks.js").Chunks} chunks @param {() => number | null} rttMs */
  ofChunks(chunks, rttMs) {
    this.nothing();
    this.read = async () => chunkTotals(chunks, rttMs());
    this.measured = () => ({
      glass: sole(chunks.picture.glassMs), mouth: sole(mouthMs(chunks)), audioBufferMs: chunks.sound.head.bufferedMs,
    });
  }

  nothing() {
    this.before = null;
    this.read = null;
    this.watch?.close();
    this.watch = null;
  }

  async #take() {
    const read = this.read;
    if (!read) return;
    const now = await read().catch(() => null); // a connection that closed meanwhile has nothing to say
    if (!now || read !== this.read) return;
    const second = difference(this.before, now);
    this.before = now;
    if (!second) return;
    this.hooks.onFigures(figures(second, this.server, this.dropsBefore, this.measured(second)));
    this.dropsBefore = this.server?.dropped ?? this.dropsBefore;
  }

  /** @param {MediaWatch} watch @param {import("./stats.js").Second} second @returns {import("./stats.js").Measured} */
  #seen(watch, second) {
    const nowMs = performance.timeOrigin + performance.now();
    const speakerMs = second.speakerMs ?? this.hooks.speakerMs() ?? SPEAKER_MS;
    return { glass: watch.video.spread(nowMs), mouth: mouthToEar(watch.audio.spread(nowMs), this.hooks.microphoneMs(), speakerMs) };
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

/** One reading, not a spread. @param {number | null} ms @returns {import("./stats.js").Spread | null} */
function sole(ms) {
  return ms === null ? null : { p50: ms, p95: ms };
}

/** From the capture of the sample that sounds now to now. @param {import("./chunks.js").Chunks} chunks */
function mouthMs(chunks) {
  const { headUs } = chunks.sound.head;
  return headUs === null ? null : performance.now() - headUs / 1000;
}
