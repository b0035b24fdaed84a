/** The microphone at 48 or 44.1 kHz becomes 16 kHz: right length, right level, no alias. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Resampler } from "../src/resampler.js";

/** A tone through the resampler in blocks of 128, as the audio thread gives it; the settled middle of the result. */
function through(rateHz, toneHz) {
  const resampler = new Resampler(rateHz, 16_000);
  const result = [];
  for (let at = 0; at < rateHz; at += 128) {
    const block = Float32Array.from({ length: 128 }, (_, n) => Math.sin((2 * Math.PI * toneHz * (at + n)) / rateHz));
    result.push(...resampler.push(block));
  }
  return { all: result, middle: result.slice(2000, 14_000) };
}
const level = (samples) => Math.sqrt((2 * samples.reduce((sum, each) => sum + each * each, 0)) / samples.length);

for (const rateHz of [48_000, 44_100]) {
  test(`${rateHz} Hz: a second stays a second`, () => {
    assert.ok(Math.abs(through(rateHz, 440).all.length - 16_000) < 60);
  });

  test(`${rateHz} Hz: a 1 kHz tone keeps its level and its pitch`, () => {
    const { middle } = through(rateHz, 1000);
    assert.ok(Math.abs(level(middle) - 1) < 0.02);
    const rises = middle.filter((each, at) => at && middle[at - 1] < 0 && each >= 0).length;
    assert.ok(Math.abs(rises - 750) <= 1);
  });

  test(`${rateHz} Hz: a 10 kHz tone, above the new Nyquist, is gone`, () => {
    assert.ok(level(through(rateHz, 10_000).middle) < 0.01);
  });
}
