// @ts-check
/** How the swapped face is restored: by which network, how often, and how true to the swap. */

import { find, make, say } from "./dom.js";

/** @typedef {Required<import("./protocol.js").EnhancerState>} Enhancer */
/** @typedef {Omit<import("./protocol.js").SetEnhancer, "type">} Wish */

const NAMES = { codeformer: "CodeFormer", gfpgan: "GFPGAN", "gpen-256": "GPEN" };
const MODES = /** @type {const} */ ([["off", "Off"], ["auto", "As there is time"], ["every", "Every picture"]]);

const PAUSES = {
  "": "paused",
  busy: "paused: the server has no time for it now",
  failed: "off: it stopped working",
  face: "paused: it does not work on your face as it is seen now",
  opening: "being loaded",
};

/** @param {import("./protocol.js").EnhancerState | undefined} told @returns {Enhancer} */
export function completed(told) {
  return { mode: "off", model: null, fidelity: 0.75, running: "", every: 0, paused: "", offers: [], ...told };
}

/** @param {string} model */
function named(model) {
  return NAMES[/** @type {keyof typeof NAMES} */ (model)] ?? model;
}

/** What happens now, which is not always what was wished. @param {Enhancer} enhancer @param {boolean} isLive */
export function enhancerWords({ mode, running, every, paused }, isLive) {
  if (mode === "off") return "off";
  if (!isLive) return "on when you are live";
  if (!running) return PAUSES[paused];
  if (every <= 1) return `${named(running)}, every picture`;
  return `${named(running)}, every ${every === 2 ? "second" : every === 3 ? "third" : `${every}th`} picture`;
}

export class EnhancerPanel {
  /** @param {import("./store.js").Store} store @param {(wish: Wish) => void} ask */
  constructor(store, ask) {
    this.ask = ask;
    this.enhancer = completed(undefined);
    this.drawn = "";
    this.panel = find("enhancer", HTMLDetailsElement);
    this.mode = find("enhancer-mode", HTMLSelectElement);
    this.model = find("enhancer-model", HTMLSelectElement);
    this.fidelity = find("fidelity", HTMLInputElement);
    this.mode.append(...MODES.map(([value, label]) => make("option", { value }, label)));
    for (const control of [this.mode, this.model, this.fidelity]) control.onchange = () => this.#wish();
    store.watch((state) => this.#render(state));
  }

  #wish() {
    this.ask({
      mode: /** @type {Wish["mode"]} */ (this.mode.value),
      model: /** @type {Enhancer["model"]} */ (this.model.value || null),
      fidelity: Number(this.fidelity.value),
    });
    this.#show(); // what the server refuses goes back by itself
  }

  /** @param {import("./store.js").PageState} state */
  #render(state) {
    this.enhancer = completed(state.server?.enhancer);
    this.panel.hidden = !this.enhancer.offers.length;
    say(find("enhancer-words", HTMLSpanElement), enhancerWords(this.enhancer, state.phase === "live"));
    this.#offer(this.enhancer.offers);
    this.#show();
    for (const control of [this.mode, this.model, this.fidelity]) control.disabled = state.socket !== "up";
  }

  /** @param {string[]} offers */
  #offer(offers) {
    if (this.drawn === offers.join()) return;
    this.drawn = offers.join();
    this.model.replaceChildren(make("option", { value: "" }, "The server's choice"),
      ...offers.map((value) => make("option", { value }, named(value))));
  }

  #show() {
    const { mode, model, running, fidelity } = this.enhancer;
    this.mode.value = mode;
    this.model.value = model ?? "";
    if (document.activeElement !== this.fidelity) this.fidelity.value = String(fidelity);
    say(find("fidelity-words", HTMLOutputElement), `${Math.round(fidelity * 100)} % true to the swap`);
    const row = this.fidelity.parentElement;
    if (row) row.hidden = (model ?? running) !== "codeformer"; // the only one with such a control
  }
}
