/** Who wears what: a line sets, changes and takes away; nobody is shown by taking a line away. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { named } from "../src/consent_dialog.js";
import { complete, isPlain, mappingWords, PLAIN, withLine } from "../src/mapping_panel.js";

test("the first line blurs everybody else, the last one gone is no mapping", () => {
  const one = withLine(PLAIN, "portrait:a", "mask:x");
  assert.deepEqual(one, { entries: [{ reference: "portrait:a", wears: "mask:x" }], others: "blur", lock: true });
  assert.ok(isPlain(withLine(one, "portrait:a", "")));
});

test("a line is changed in its place and keeps its threshold; what others wear stays", () => {
  const told = complete({ entries: [{ reference: "portrait:a", wears: "mask:x", threshold: 0.6 }], others: "swap" });
  const changed = withLine(told, "portrait:a", "blur");
  assert.deepEqual(changed.entries, [{ reference: "portrait:a", wears: "blur", threshold: 0.6 }]);
  assert.equal(changed.others, "swap");
  assert.equal(withLine(told, "portrait:b", "mask:y").entries.length, 2);
});

test("the words say what is done with others, and promise no recognition where there is none", () => {
  const one = withLine(PLAIN, "portrait:a", "mask:x");
  assert.equal(mappingWords(PLAIN, true, false), "everybody wears the chosen face");
  assert.equal(mappingWords(one, true, true), "1 person known, others blurred");
  const bare = { ...one, others: "passthrough" };
  assert.equal(mappingWords(bare, true, true), "1 person known, others as they are");
  assert.equal(mappingWords(bare, true, false), "1 person known, others blurred until passthrough is on");
  assert.match(mappingWords(one, false, false), /everybody is covered/);
  assert.equal(mappingWords({ ...PLAIN, others: "blur" }, true, false), "no people known, others blurred");
});

test("several pictures are named by number, as the server speaks of them", () => {
  assert.equal(named([{ name: "me.png" }]), "me.png");
  assert.equal(named([{ name: "a.png" }, { name: "b.png" }]), "2 pictures of one person: 1 a.png, 2 b.png");
});
