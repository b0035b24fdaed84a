// @ts-check
/** The fine controls of a voice: from the wire to the sliders and back, and in words. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { GATE_OFF, changedWords, fineWords, microphoneOf, valuesOf, withValues } from "../src/voice_sliders.js";

const PLAIN = {
  preset: "lower", pitch_semitones: 0, formant_ratio: 1, breath: 0, reference: null,
  index_rate: 0, protect: 0.33, input_gain_db: 0, gate_db: null, denoise: false, auto_pitch: false,
};

test("what the sliders show goes back to the wire as it came", () => {
  const set = { ...PLAIN, pitch_semitones: -3.5, index_rate: 0.6, protect: 0.5, input_gain_db: 4, gate_db: -48, denoise: true };
  for (const voice of [PLAIN, set]) assert.deepEqual(withValues(voice, valuesOf(voice), voice.denoise), voice);
});

test("the end of the gate's slider is no gate", () => {
  assert.equal(valuesOf(PLAIN).gate, GATE_OFF);
  assert.equal(withValues(PLAIN, { ...valuesOf(PLAIN), gate: -90 }, false).gate_db, -90);
  assert.equal(fineWords(PLAIN).gate, "off");
  assert.equal(fineWords({ ...PLAIN, gate_db: -45 }).gate, "below −45 dB");
});

test("only what was changed is said", () => {
  assert.equal(changedWords(PLAIN), "");
  assert.equal(changedWords({ ...PLAIN, pitch_semitones: -1, denoise: true, gate_db: -50 }), "−1 semitone, gate below −50 dB, less noise");
});

test("the protection is a share of all there is", () => {
  assert.equal(fineWords({ ...PLAIN, protect: 0.5 }).protect, "off");
  assert.equal(fineWords({ ...PLAIN, protect: 0 }).protect, "100 %");
});

test("the microphone's controls are those that stay with the person", () => {
  assert.deepEqual(microphoneOf({ ...PLAIN, input_gain_db: 3, pitch_semitones: 2 }), { input_gain_db: 3, gate_db: null, denoise: false });
});
