/** getStats totals become figures of the last second; delays are composed only when every part is known. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NOTHING, difference, estimate, figures, mouthToEar, possible, report, summarise } from "../src/stats.js";

const REPORT = [
  { type: "inbound-rtp", kind: "video", bytesReceived: 5000, framesDecoded: 50, framesDropped: 2, jitterBufferDelay: 1.5, jitterBufferEmittedCount: 50, totalDecodeTime: 0.1 },
  { type: "inbound-rtp", kind: "audio", bytesReceived: 1000, jitterBufferDelay: 96, jitterBufferEmittedCount: 4800 },
  { type: "outbound-rtp", kind: "video", bytesSent: 9000, framesEncoded: 55, totalEncodeTime: 0.22 },
  { type: "media-playout", totalPlayoutDelay: 2880, totalSamplesCount: 96000 },
  { type: "candidate-pair", nominated: false, currentRoundTripTime: 9 },
  { type: "candidate-pair", nominated: true, currentRoundTripTime: 0.02 },
];
const SERVER = { type: "stats", fps_in: 25, fps_out: 24, video_ms_p50: 40, audio_ms_p50: 90, skew_ms: -8, dropped: 12, swapped: 1, frozen: 0, cards: 3, hops: 1, hops_silent: 0, voice_ratio: 0.2, face_cpu_ms: 14 };

test("a report is summed over its streams, and the round trip is that of the nominated pair", () => {
  const totals = summarise(REPORT, 1000);
  assert.deepEqual([totals.bytesIn, totals.bytesOut, totals.framesShown, totals.rttMs], [6000, 9000, 48, 20]);
});

test("two readings make rates per second and means per frame", () => {
  const before = { ...NOTHING, atMs: 1000, decoded: 1 };
  const second = difference(before, summarise(REPORT, 3000));
  assert.ok(second);
  assert.equal(second.fps, 24);
  assert.equal(second.kbpsIn, 24);
  assert.equal(second.videoBufferMs, 30);
  assert.equal(second.audioBufferMs, 20);
  assert.equal(second.encodeMs, 4);
  assert.equal(second.speakerMs, 30);
  assert.equal(difference(before, { ...summarise(REPORT, 3000), spoken: 0 })?.speakerMs, null);
});

test("there is no difference without a first reading, backwards, or over a change of connection", () => {
  const totals = summarise(REPORT, 1000);
  assert.equal(difference(null, totals), null);
  assert.equal(difference(totals, totals), null);
  assert.equal(difference(totals, { ...NOTHING, atMs: 2000 }), null);
});

test("the estimate is the sum of its parts and null while one is missing", () => {
  const second = { fps: 25, kbpsIn: 1, kbpsOut: 1, lost: 0, rttMs: 20, videoBufferMs: 30, audioBufferMs: 20, decodeMs: 2, encodeMs: 4 };
  assert.deepEqual(estimate(second, SERVER), { glassMs: 40 + 4 + 20 + 40 + 30 + 2 + 16, mouthMs: 20 + 20 + 90 + 20 + 20 });
  for (const part of ["rttMs", "videoBufferMs", "fps"]) assert.equal(estimate({ ...second, [part]: null }, SERVER).glassMs, null);
  assert.equal(estimate(second, { ...SERVER, audio_ms_p50: 0 }).mouthMs, null);
});

const SECOND = { fps: 25, kbpsIn: 1, kbpsOut: 1, lost: 1, rttMs: 20, videoBufferMs: 30, audioBufferMs: 80, decodeMs: 2, encodeMs: 4, speakerMs: 30 };

test("what was measured is said to be measured and is not replaced by an estimate", () => {
  const now = figures(SECOND, SERVER, 10, { glass: { p50: 210, p95: 240 }, mouth: { p50: 190, p95: 205 }, audioBufferMs: 70 });
  assert.deepEqual([now.glassMs, now.glassP95Ms, now.glassMeasured], [210, 240, true]);
  assert.deepEqual([now.mouthMs, now.mouthP95Ms, now.mouthMeasured], [190, 205, true]);
  assert.deepEqual([now.audioBufferMs, now.drops], [70, 3]);
});

test("a kind that is not measured is estimated, said to be, and has no spread", () => {
  const now = figures(SECOND, SERVER, 10, { glass: { p50: 210, p95: 240 }, mouth: null });
  assert.deepEqual([now.glassMeasured, now.mouthMeasured, now.mouthP95Ms], [true, false, null]);
  assert.equal(now.mouthMs, estimate(SECOND, SERVER).mouthMs);
  const neither = figures(SECOND, SERVER, 10, null);
  assert.deepEqual([neither.glassMeasured, neither.glassMs], [false, estimate(SECOND, SERVER).glassMs]);
});

test("a delay shorter than the server alone took is not shown as measured", () => {
  assert.equal(possible({ p50: 39, p95: 60 }, 40), null);
  assert.equal(possible(undefined, 40), null);
  assert.equal(figures(SECOND, SERVER, 0, { glass: { p50: 12, p95: 15 }, mouth: null }).glassMeasured, false);
});

test("from lips to ear a packet's length and the devices are added, a large capture buffer too", () => {
  assert.deepEqual(mouthToEar({ p50: 150, p95: 160 }, null, 30), { p50: 180, p95: 190 });
  assert.deepEqual(mouthToEar({ p50: 150, p95: 160 }, 10, 30), { p50: 180, p95: 190 });
  assert.deepEqual(mouthToEar({ p50: 150, p95: 160 }, 40, 30), { p50: 210, p95: 220 });
  assert.equal(mouthToEar(null, 10, 30), null);
});

test("the report to the server holds no negative and no absent number", () => {
  const second = { fps: null, kbpsIn: 0, kbpsOut: 0, lost: 0, rttMs: -1, videoBufferMs: null, audioBufferMs: Number.NaN, decodeMs: 0, encodeMs: 0 };
  const sent = report(figures(second, null, 0, null));
  assert.deepEqual(sent, { type: "report", rtt_ms: null, jitter_video_ms: null, jitter_audio_ms: null, glass_ms: null, mouth_ms: null, fps_shown: null, frames_dropped: 0 });
});
