/** The figures' words say what the server measured, the right way round. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CHARTS } from "../src/charts.js";

const skew = CHARTS.find((chart) => chart.id === "skew");

test("who is ahead is named as the server counts it: picture minus sound", () => {
  assert.equal(skew.words({ skewMs: 120 }), "The picture is ahead");
  assert.equal(skew.words({ skewMs: -120 }), "The sound is ahead");
});

test("nobody is ahead by what nobody notices, nor before anything was measured", () => {
  for (const skewMs of [-40, 0, 40]) assert.equal(skew.words({ skewMs }), "Sound and picture are together");
  assert.equal(skew.words({ skewMs: null }), "Sound against picture");
});
