/** Delays are read off two timestamps of one clock: across wrap-around, stale marks, missing fields and a clock that slept. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Delays, bestClock, capturedMs, clockOffsetMs } from "../src/delays.js";

const T0 = 1_800_000_000_000;
const MARK = { rtp_timestamp: 90_000, captured_ms: T0 };

/** Ten frames of 40 ms, each shown `delayMs` after its capture. */
function shown(delays, delayMs, { from = 0, count = 10, rtp = 90_000 } = {}) {
  for (let n = from; n < from + count; n += 1) delays.note((rtp + n * 3600) % 2 ** 32, T0 + n * 40 + delayMs);
}

test("a timestamp before and after the mark's tells when it was captured", () => {
  assert.equal(capturedMs(MARK, 90_000 + 4500, 90_000), T0 + 50);
  assert.equal(capturedMs(MARK, 90_000 - 4500, 90_000), T0 - 50);
});

test("timestamps wrap at 2^32, in both directions", () => {
  const last = { rtp_timestamp: 2 ** 32 - 480, captured_ms: T0 };
  assert.equal(capturedMs(last, 480, 48_000), T0 + 20);
  assert.equal(capturedMs({ rtp_timestamp: 480, captured_ms: T0 }, 2 ** 32 - 480, 48_000), T0 - 20);
});

test("median and 95th percentile are of what was shown since the mark", () => {
  const delays = new Delays(90_000);
  delays.take(MARK, T0, 0);
  shown(delays, 200, { count: 19 });
  shown(delays, 450, { from: 19, count: 2 });
  assert.deepEqual(delays.spread(T0 + 1000), { p50: 200, p95: 450 });
});

test("the delay is the same across the wrap-around of a stream", () => {
  const delays = new Delays(90_000);
  const rtp = 2 ** 32 - 5 * 3600;
  delays.take({ rtp_timestamp: rtp, captured_ms: T0 }, T0, 0);
  shown(delays, 180, { rtp });
  assert.deepEqual(delays.spread(T0 + 500), { p50: 180, p95: 180 });
});

test("nothing is known without a mark, without timestamps, or from too few", () => {
  const unmarked = new Delays(90_000);
  shown(unmarked, 200);
  assert.equal(unmarked.spread(T0 + 500), null);
  const untold = new Delays(90_000);
  untold.take(MARK, T0, 0);
  untold.take(null, T0, 0);
  for (let n = 0; n < 10; n += 1) untold.note(undefined, T0 + n * 40);
  assert.equal(untold.spread(T0 + 500), null);
  shown(untold, 200, { count: 4 });
  assert.equal(untold.spread(T0 + 500), null);
});

test("what is told twice counts once, and a mark that is not renewed says nothing any more", () => {
  const delays = new Delays(90_000);
  delays.take(MARK, T0, 0);
  for (let n = 0; n < 10; n += 1) delays.note(90_000, T0 + 150);
  assert.equal(delays.kept.length, 1);
  shown(delays, 200, { from: 150, count: 20 });
  assert.equal(delays.kept.length, 1);
});

test("values older than ten seconds are forgotten", () => {
  const delays = new Delays(90_000);
  delays.take(MARK, T0, 0);
  shown(delays, 200);
  assert.ok(delays.spread(T0 + 9000));
  assert.equal(delays.spread(T0 + 12_000), null);
});

test("an impossible delay is not kept", () => {
  const delays = new Delays(90_000);
  delays.take(MARK, T0, 0);
  shown(delays, -30);
  shown(delays, 70_000, { from: 2000 });
  assert.equal(delays.kept.length, 0);
});

test("clocks of one computer are taken as one, however uneven the network", () => {
  assert.equal(clockOffsetMs(null, 5), 0);
  assert.equal(clockOffsetMs({ aheadMs: -T0, rttMs: 8 }, undefined), 0);
  assert.equal(clockOffsetMs({ aheadMs: -T0, rttMs: 8 }, -T0 + 34), 0);
  assert.equal(clockOffsetMs({ aheadMs: -T0, rttMs: 300 }, -T0 + 400), 0);
});

test("a page whose clock slept for an hour measures as before", () => {
  const slept = 3_600_000;
  // The server is ahead of the page by one hour more than of the reports; reports take 10 ms one way.
  const offset = clockOffsetMs({ aheadMs: -T0 + slept, rttMs: 20 }, -T0 + 10);
  assert.equal(offset, slept);
  const delays = new Delays(90_000);
  delays.take({ ...MARK, captured_ms: T0 + slept }, T0, offset);
  shown(delays, 210);
  assert.deepEqual(delays.spread(T0 + 500), { p50: 210, p95: 210 });
});

test("the pong with the least round trip sets the clock", () => {
  assert.equal(bestClock([]), null);
  assert.equal(bestClock([{ aheadMs: 1, rttMs: 90 }, { aheadMs: 2, rttMs: 4 }, { aheadMs: 3, rttMs: 30 }]).aheadMs, 2);
});
