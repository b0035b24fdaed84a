// @ts-check
/** What the server says, taken into the page's state. `main.js` hands it every message of the socket. */

/**
 * @typedef {import("./protocol.js").ServerMessage} ServerMessage
 * @typedef {import("./live.js").LiveHooks["notice"]} Notice
 */

import { recall } from "./admission.js";

export class Inbox {
  /**
   * @param {import("./store.js").Store} store @param {import("./api.js").Api} api @param {import("./live.js").Live} live
   * @param {Notice} notice @param {(kept: import("./admission.js").Kept) => void} remember
   */
  constructor(store, api, live, notice, remember) {
    this.store = store;
    this.api = api;
    this.live = live;
    this.notice = notice;
    this.remember = remember;
    this.first = true;
  }

  /** @param {ServerMessage} message */
  take(message) {
    switch (message.type) {
      case "welcome": return this.#welcome(message);
      case "state": return this.#state(message);
      case "stats": return this.live.figures.heard(message);
      case "answer": return void this.live.answered(message.sdp);
      case "notice": return this.notice(message.code, message.sentence, message.severity);
      case "error": return this.#failed(message);
      default:
        return; // pong is the socket's; closing is told when the socket closes
    }
  }

  /** The list anew, after an upload or a removal. */
  async refreshIdentities() {
    const identities = await this.api.identities().catch(() => null); // kept as it is; the next welcome brings it
    if (!identities) return;
    this.store.set({ identities });
    void this.#thumbnails();
  }

  /** @param {import("./protocol.js").Welcome} welcome */
  #welcome(welcome) {
    const { phase } = this.store.value;
    const goOn = this.first && wasLive();
    this.first = false;
    this.remember({ session_id: welcome.session_id, resume_token: welcome.resume_token, live: phase === "live" || goOn });
    this.store.set({
      welcome, server: welcome.state, engines: welcome.engines, identities: welcome.identities,
      phase: phase === "live" || phase === "starting" ? phase : "ready", sentence: "",
    });
    void this.#thumbnails();
    void this.live.welcomed(welcome);
    if (goOn) void this.live.start(); // a reload in the middle of a call
  }

  /** @param {import("./protocol.js").State} message */
  #state({ type: _, engines, ...server }) {
    this.store.set({ server, engines });
    this.live.told(server.transport);
  }

  /** @param {import("./protocol.js").Failure} failure */
  #failed(failure) {
    this.notice(failure.code, failure.sentence, failure.retryable ? "warning" : "error");
    if (failure.about === "offer") this.live.offerRefused();
    this.store.set({}); // a refused choice springs back to what the server does
  }

  async #thumbnails() {
    const missing = this.store.value.identities.filter(({ id }) => !this.store.value.thumbnails[id]);
    for (const { id } of missing) {
      const url = await this.api.thumbnail(id).catch(() => null); // its tile stays blank, its name says who it is
      if (url) this.store.set({ thumbnails: { ...this.store.value.thumbnails, [id]: url } });
    }
  }
}

function wasLive() {
  return recall(sessionStorage)?.live === true;
}
