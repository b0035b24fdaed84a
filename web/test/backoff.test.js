/** The wait before a retry: doubling, bounded, never more than a fifth shortened. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FIRST_MS, LAST_MS, backoffMs } from "../src/backoff.js";

test("doubles from a quarter of a second to five seconds and stays there", () => {
  const waits = [0, 1, 2, 3, 4, 5, 6, 50].map((attempt) => backoffMs(attempt, () => 0));
  assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
});

test("chance takes off a fifth at most, so that it stays between the bounds", () => {
  for (let attempt = 0; attempt < 12; attempt += 1) {
    const longest = backoffMs(attempt, () => 0);
    const shortest = backoffMs(attempt, () => 0.999999);
    assert.ok(shortest >= 0.8 * longest - 1 && shortest < longest);
    assert.ok(longest <= LAST_MS && shortest >= 0.8 * FIRST_MS - 1);
  }
});
