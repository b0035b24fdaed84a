/** The binary chunk frame byte for byte as signaling/protocol.py packs it, PCM16, WAV, and capture times without gaps. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PICTURE, SOUND, SampleClock, fromPcm16, packChunk, toPcm16, toWav, unpackChunk } from "../src/frames.js";

test("a frame has the sixteen bytes of header that the server reads", () => {
  const frame = new Uint8Array(packChunk(SOUND, 0x01020304, 0x0a0b0c0d0e, new Uint8Array([7, 8]).buffer));
  assert.deepEqual([...frame], [1, 1, 0, 0, 4, 3, 2, 1, 0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 0, 0, 0, 7, 8]);
});

test("what is packed is unpacked, also past 32 bits of microseconds", () => {
  const chunk = unpackChunk(packChunk(PICTURE, 2 ** 32 - 1, 9_007_199_254_740_991, new Uint8Array([1, 2, 3]).buffer));
  assert.ok(chunk);
  assert.deepEqual([chunk.kind, chunk.sequence, chunk.captureUs, ...chunk.payload], [PICTURE, 2 ** 32 - 1, 9_007_199_254_740_991, 1, 2, 3]);
});

test("a short frame, an unknown kind and another version are nothing", () => {
  const good = () => packChunk(SOUND, 0, 0, new Uint8Array([1, 2]).buffer);
  assert.equal(unpackChunk(good().slice(0, 16)), null);
  for (const [at, value] of [[0, 3], [1, 2]]) {
    const bad = new Uint8Array(good());
    bad[at] = value;
    assert.equal(unpackChunk(bad.buffer), null);
  }
});

test("PCM16 clips, is little-endian, comes back within half a step, and leaves out an odd last byte", () => {
  const bytes = new Uint8Array(toPcm16(new Float32Array([0, 1, -1, 2, -2, 0.5])));
  assert.deepEqual([...bytes.subarray(0, 10)], [0, 0, 0xff, 0x7f, 0, 0x80, 0xff, 0x7f, 0, 0x80]);
  const back = fromPcm16(bytes);
  assert.ok(Math.abs(back[5] - 0.5) < 1 / 32768);
  assert.equal(fromPcm16(bytes.subarray(0, 11)).length, 5);
});

test("a WAV file declares mono PCM16 at its rate and exactly its length", async () => {
  const view = new DataView(await toWav(new Float32Array(100), 24_000).arrayBuffer());
  const text = (at) => String.fromCharCode(...[0, 1, 2, 3].map((step) => view.getUint8(at + step)));
  assert.deepEqual([text(0), text(8), text(36)], ["RIFF", "WAVE", "data"]);
  assert.deepEqual([view.getUint16(22, true), view.getUint32(24, true), view.getUint16(34, true)], [1, 24_000, 16]);
  assert.deepEqual([view.byteLength, view.getUint32(4, true), view.getUint32(40, true)], [244, 236, 200]);
});

test("capture times are continuous under a jittering clock and start anew after a stall", () => {
  const clock = new SampleClock(16_000);
  const stamps = [1000, 1210, 1380, 1570].map((now) => clock.stamp(3072, now));
  assert.deepEqual(stamps, [808_000, 1_000_000, 1_192_000, 1_384_000]);
  assert.equal(clock.stamp(3072, 5000), 4_808_000);
});
