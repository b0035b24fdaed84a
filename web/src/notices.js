// @ts-check
/** Sentences over the stage: one per code, newest first, gone after a while unless they are errors or wait for a press. */

import { find, icon, make } from "./dom.js";

const STAY_MS = { info: 7000, warning: 14_000, error: 0 };
const MOST = 3;

export class Notices {
  constructor() {
    this.box = find("notices", HTMLDivElement);
    /** @type {Map<string, HTMLElement>} */
    this.shown = new Map();
  }

  /**
   * @param {string} code @param {string} sentence @param {"info" | "warning" | "error"} severity
   * @param {{ words: string, press: () => void }} [action]
   */
  show(code, sentence, severity, action) {
    this.drop(code);
    const notice = make("div", { className: "notice" }, make("p", { textContent: sentence }));
    notice.dataset.severity = severity;
    notice.dataset.code = code;
    if (severity === "error") notice.setAttribute("role", "alert");
    if (action) notice.append(this.#button(code, action));
    const close = make("button", { type: "button", className: "icon-button", ariaLabel: "Dismiss", onclick: () => this.drop(code) }, icon("close"));
    notice.append(close);
    this.box.prepend(notice);
    this.shown.set(code, notice);
    for (const old of [...this.shown.keys()].slice(0, Math.max(0, this.shown.size - MOST))) this.drop(old);
    const stay = action ? 0 : STAY_MS[severity];
    if (stay) setTimeout(() => this.shown.get(code) === notice && this.drop(code), stay);
  }

  /** @param {string} code */
  drop(code) {
    this.shown.get(code)?.remove();
    this.shown.delete(code);
  }

  /** @param {string} code @param {{ words: string, press: () => void }} action */
  #button(code, action) {
    const press = () => {
      this.drop(code);
      action.press();
    };
    return make("button", { type: "button", className: "act", textContent: action.words, onclick: press });
  }
}
