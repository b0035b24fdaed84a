// @ts-check
/** The page's state: one value, replaced whole, watched by the panels. `main.js` makes the only one. */

/**
 * @typedef {"no_link" | "joining" | "ready" | "starting" | "live" | "moved" | "full" | "refused" | "ended"} Phase
 *   `no_link` nothing to join with, `refused` the link or the session is not valid, `moved` another tab took the call.
 * @typedef {"none" | "webrtc" | "chunks"} Path
 * @typedef {{
 *   phase: Phase, sentence: string, socket: "down" | "connecting" | "up", retryInMs: number | null,
 *   welcome: import("./protocol.js").Welcome | null, server: import("./protocol.js").CallState | null,
 *   engines: import("./protocol.js").Engines | null,
 *   identities: readonly import("./protocol.js").IdentityChoice[], thumbnails: Readonly<Record<string, string>>,
 *   path: Path, pathState: "idle" | "connecting" | "connected" | "recovering", fellBack: boolean,
 *   hasCamera: boolean, hasMicrophone: boolean, micOff: boolean, cameraOff: boolean, monitor: boolean, showing: boolean,
 *   figures: import("./stats.js").Figures | null,
 * }} PageState
 */

/** @type {PageState} */
export const INITIAL = {
  phase: "joining", sentence: "", socket: "down", retryInMs: null,
  welcome: null, server: null, engines: null, identities: [], thumbnails: {},
  path: "none", pathState: "idle", fellBack: false,
  hasCamera: false, hasMicrophone: false, micOff: false, cameraOff: false, monitor: false, showing: false,
  figures: null,
};

export class Store {
  /** @param {PageState} value */
  constructor(value) {
    this.value = value;
    /** @type {Set<(value: PageState) => void>} */
    this.watchers = new Set();
  }

  /** @param {Partial<PageState>} change */
  set(change) {
    this.value = { ...this.value, ...change };
    for (const watcher of this.watchers) watcher(this.value);
  }

  /** Calls `watcher` now and after every change. @param {(value: PageState) => void} watcher */
  watch(watcher) {
    this.watchers.add(watcher);
    watcher(this.value);
  }
}
