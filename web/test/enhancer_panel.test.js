/** What is said of the enhancer is what runs, not what was wished. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { completed, enhancerWords } from "../src/enhancer_panel.js";

test("without a word from the server there is nothing to choose", () => {
  assert.deepEqual(completed(undefined).offers, []);
  assert.equal(enhancerWords(completed(undefined), true), "off");
});

test("a wish that nothing fulfils is said to wait, for the call or for the server", () => {
  assert.match(enhancerWords(completed({ mode: "auto" }), false), /when you are live/);
  assert.match(enhancerWords(completed({ mode: "auto", running: "", every: 0 }), true), /paused/);
});

test("why a wish is not fulfilled is said in words of its own", () => {
  const words = /** @type {const} */ (["busy", "failed", "face", "opening"]).map((paused) => enhancerWords(completed({ mode: "auto", paused }), true));
  assert.match(words[0], /no time/);
  assert.match(words[1], /stopped working/);
  assert.match(words[2], /your face/);
  assert.match(words[3], /loaded/);
});

test("what runs is named with how often", () => {
  assert.equal(enhancerWords(completed({ mode: "auto", running: "codeformer", every: 1 }), true), "CodeFormer, every picture");
  assert.equal(enhancerWords(completed({ mode: "auto", running: "gpen-256", every: 2 }), true), "GPEN, every second picture");
  assert.equal(enhancerWords(completed({ mode: "every", running: "gfpgan", every: 4 }), true), "GFPGAN, every 4th picture");
  assert.equal(enhancerWords(completed({ mode: "off", running: "", every: 0 }), true), "off");
});
