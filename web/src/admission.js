// @ts-check
/** The link's token and the resume token: where they come from and where they are kept. `main.js` asks once a page load. */

const KEY = "mirage.session";

/** @typedef {{ session_id: string, resume_token: string, live: boolean }} Kept `live`: go live again after a reload */

/**
 * The token of `#t=...`, wiped from the address bar and from history at once.
 * @param {Pick<Location, "hash" | "pathname" | "search">} place
 * @param {Pick<History, "replaceState">} past
 * @returns {string | null}
 */
export function takeLinkToken(place, past) {
  const token = linkToken(place.hash);
  if (token) past.replaceState(null, "", place.pathname + place.search);
  return token;
}

/** @param {string} hash */
export function linkToken(hash) {
  return new URLSearchParams(hash.replace(/^#/, "")).get("t") || null;
}

/** @param {Pick<Storage, "getItem">} storage @returns {Kept | null} */
export function recall(storage) {
  const text = storage.getItem(KEY);
  if (!text) return null;
  try {
    const kept = JSON.parse(text);
    return typeof kept.resume_token === "string" && typeof kept.session_id === "string" ? kept : null;
  } catch {
    return null; // not ours, or cut short: as good as nothing
  }
}

/** @param {Pick<Storage, "setItem">} storage @param {Kept} kept */
export function keep(storage, kept) {
  storage.setItem(KEY, JSON.stringify(kept));
}

/** @param {Pick<Storage, "removeItem">} storage */
export function forget(storage) {
  storage.removeItem(KEY);
}
