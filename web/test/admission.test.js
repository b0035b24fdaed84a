/** The link's token leaves the address bar before anything else can read it; the resume token survives a reload. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { forget, keep, linkToken, recall, takeLinkToken } from "../src/admission.js";

function storage() {
  const items = new Map();
  return { getItem: (key) => items.get(key) ?? null, setItem: (key, value) => items.set(key, value), removeItem: (key) => items.delete(key) };
}

test("a link's token is taken and the address is left without it", () => {
  const replaced = [];
  const place = { hash: "#t=aaa.bbb-_c.ddd", pathname: "/", search: "?x=1" };
  assert.equal(takeLinkToken(place, { replaceState: (...call) => replaced.push(call) }), "aaa.bbb-_c.ddd");
  assert.deepEqual(replaced, [[null, "", "/?x=1"]]);
});

test("an address without a token is left alone", () => {
  const untouched = { replaceState: () => assert.fail("rewrote the address") };
  for (const hash of ["", "#", "#t=", "#elsewhere"]) {
    assert.equal(takeLinkToken({ hash, pathname: "/", search: "" }, untouched), null);
    assert.equal(linkToken(hash), null);
  }
});

test("what was kept is recalled, what was forgotten or damaged is not", () => {
  const box = storage();
  assert.equal(recall(box), null);
  keep(box, { session_id: "s", resume_token: "r", live: true });
  assert.deepEqual(recall(box), { session_id: "s", resume_token: "r", live: true });
  forget(box);
  assert.equal(recall(box), null);
  box.setItem("mirage.session", '{"session_id":"s"');
  assert.equal(recall(box), null);
  box.setItem("mirage.session", '{"session_id":"s"}');
  assert.equal(recall(box), null);
});
