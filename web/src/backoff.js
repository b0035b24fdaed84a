// @ts-check
/** How long to wait before the next attempt to reach the server. `socket.js` and `join.js` ask it. */

export const FIRST_MS = 250;
export const LAST_MS = 5000;

/**
 * Doubling from 0.25 s to 5 s, with up to a fifth taken off at random so that many pages do not knock together.
 * @param {number} attempt 0 for the first retry
 * @param {() => number} random in [0, 1)
 */
export function backoffMs(attempt, random = Math.random) {
  const full = Math.min(LAST_MS, FIRST_MS * 2 ** Math.max(0, attempt));
  return Math.round(full * (1 - 0.2 * random()));
}
