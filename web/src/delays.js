// @ts-check
/**
 * How long something took from its capture here to its return here: the server echoes, once a second, which RTP timestamp
 * of its own shows what this browser captured when, and the browser says when it shows that timestamp. Pure.
 */

/**
 * @typedef {import("./protocol.js").CaptureMark} CaptureMark
 * @typedef {{ p50: number, p95: number }} Spread ms
 * @typedef {{ aheadMs: number, rttMs: number }} ServerClock how far the server's clock is ahead of this page's Unix clock
 */

const KEPT_MS = 10_000;
const MARK_LASTS_MS = 5000;
const LEAST = 5;
const LONGEST_MS = 10_000;
/** Below this a difference of two clocks found over the network is the network's own unevenness. */
const SAME_CLOCK_MS = 50;

/** When what has this RTP timestamp was captured. RTP timestamps wrap at 2^32. @param {CaptureMark} mark @param {number} rtpTimestamp @param {number} rateHz */
export function capturedMs(mark, rtpTimestamp, rateHz) {
  return mark.captured_ms + (((rtpTimestamp - mark.rtp_timestamp) | 0) * 1000) / rateHz;
}

/**
 * How far the clock of this browser's sender reports is ahead of `performance.timeOrigin + performance.now()`. Mostly 0; but
 * a page that was open while the computer slept has a clock that stood still meanwhile. 0 while unknown.
 * @param {ServerClock | null} server @param {number | null | undefined} reportsAheadMs how far the server is ahead of the reports, one way included
 */
export function clockOffsetMs(server, reportsAheadMs) {
  if (!server || reportsAheadMs === null || reportsAheadMs === undefined) return 0;
  const offset = server.aheadMs - reportsAheadMs + server.rttMs / 2;
  return Math.abs(offset) > SAME_CLOCK_MS + server.rttMs ? offset : 0;
}

/** The pong with the least round trip knows best. @param {readonly ServerClock[]} pongs @returns {ServerClock | null} */
export function bestClock(pongs) {
  return pongs.reduce((/** @type {ServerClock | null} */ best, each) => (!best || each.rttMs < best.rttMs ? each : best), null);
}

export class Delays {
  /** @param {number} rateHz of the RTP timestamps */
  constructor(rateHz) {
    this.rateHz = rateHz;
    /** @type {CaptureMark | null} */
    this.mark = null;
    this.markedMs = 0;
    this.offsetMs = 0;
    this.lastMs = -Infinity;
    /** @type {{ atMs: number, delayMs: number }[]} */
    this.kept = [];
  }

  /** @param {CaptureMark | null | undefined} mark @param {number} nowMs @param {number} offsetMs see `clockOffsetMs` */
  take(mark, nowMs, offsetMs) {
    if (!mark) return;
    this.mark = mark;
    this.markedMs = nowMs;
    this.offsetMs = offsetMs;
  }

  /** Something was shown or played. Ignored without a timestamp, without a fresh mark, and when told again. @param {number | null | undefined} rtpTimestamp @param {number} shownMs Unix ms of this page */
  note(rtpTimestamp, shownMs) {
    if (rtpTimestamp === null || rtpTimestamp === undefined || !this.mark) return;
    if (shownMs <= this.lastMs || shownMs - this.markedMs > MARK_LASTS_MS) return;
    this.lastMs = shownMs;
    const delayMs = shownMs + this.offsetMs - capturedMs(this.mark, rtpTimestamp, this.rateHz);
    if (delayMs > 0 && delayMs < LONGEST_MS) this.kept.push({ atMs: shownMs, delayMs });
  }

  /** Of the last ten seconds; null without enough of them. @param {number} nowMs @returns {Spread | null} */
  spread(nowMs) {
    this.kept = this.kept.filter(({ atMs }) => nowMs - atMs <= KEPT_MS);
    if (this.kept.length < LEAST) return null;
    const sorted = this.kept.map(({ delayMs }) => delayMs).sort((a, b) => a - b);
    const at = (/** @type {number} */ share) => /** @type {number} */ (sorted[Math.floor(share * (sorted.length - 1))]);
    return { p50: at(0.5), p95: at(0.95) };
  }
}
