/** The jitter buffer: a margin before the first sample, in order, silence on a hole, more margin after one, bounded. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { JitterRing } from "../src/jitter_ring.js";

const RATE_HZ = 16_000;
const BLOCK = 128;
const chunk = (value, count = 3072) => new Float32Array(count).fill(value);
const pull = (ring) => {
  const block = new Float32Array(BLOCK);
  ring.pull(block);
  return block;
};

test("nothing sounds before the margin of 60 ms has passed", () => {
  const ring = new JitterRing(RATE_HZ);
  ring.push(chunk(0.5), 0);
  let silent = 0;
  while (pull(ring).every((each) => each === 0)) silent += 1;
  assert.ok(Math.abs((silent * BLOCK * 1000) / RATE_HZ - 60) <= 9);
});

test("chunks that come in time are played whole, in order, without a hole", () => {
  const ring = new JitterRing(RATE_HZ);
  const heard = [];
  for (let block = 0; block < 24 * 8; block += 1) {
    if (block % 24 === 0) ring.push(chunk(1 + block / 24), (block / 24) * 192_000);
    heard.push(...pull(ring));
  }
  const steps = heard.filter((each, at) => Number.isInteger(each) && each > 0 && each !== heard[at - 1]);
  assert.deepEqual([...new Set(steps)], [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.equal(ring.holes, 0);
});

test("the play head is the capture time of the last sample given out", () => {
  const ring = new JitterRing(RATE_HZ);
  ring.push(chunk(1), 5_000_000);
  while (!ring.playing) pull(ring);
  assert.equal(ring.headUs, 5_000_000 + (BLOCK / RATE_HZ) * 1e6);
});

test("a hole fades to silence, is counted, and widens the margin up to a bound", () => {
  const ring = new JitterRing(RATE_HZ);
  const before = ring.targetMs;
  for (let round = 0; round < 20; round += 1) {
    ring.push(chunk(1, 500), 0);
    for (let block = 0; block < 60; block += 1) {
      const out = pull(ring);
      if (ring.holes === 1 && round === 0) assert.ok(Math.abs(out.at(-1) ?? 0) < 0.05);
    }
  }
  assert.equal(ring.holes, 20);
  assert.ok(ring.targetMs > before && ring.targetMs <= 300);
});

test("a burst after a stall is cut to the newest, so that delay does not grow", () => {
  const ring = new JitterRing(RATE_HZ);
  for (let n = 0; n < 20; n += 1) ring.push(chunk(n), n * 192_000);
  assert.ok(ring.bufferedMs <= ring.targetMs + 320);
  assert.ok(ring.dropped >= 17);
});
