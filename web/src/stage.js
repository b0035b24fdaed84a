// @ts-check
/** The view of the two pictures: side by side, a divider drawn across, or the result only; and the light or dark theme. */

import { find } from "./dom.js";

const VIEW_KEY = "mirage.view";
const THEME_KEY = "mirage.theme";

export class Stage {
  constructor() {
    this.split = find("split", HTMLInputElement);
    const radios = /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll('input[name="view"]')]);
    for (const radio of radios) radio.onchange = () => this.view(radio.value);
    const kept = radios.find((each) => each.value === localStorage.getItem(VIEW_KEY));
    if (kept) kept.checked = true;
    this.view(kept?.value ?? "side");
    this.split.oninput = () => this.#cut();
    this.#cut();
    this.#theme(localStorage.getItem(THEME_KEY));
    find("theme", HTMLButtonElement).onclick = () => this.#turn();
  }

  /** @param {string} name */
  view(name) {
    document.body.dataset.view = name;
    find("wipe", HTMLDivElement).hidden = name !== "split";
    localStorage.setItem(VIEW_KEY, name);
  }

  #cut() {
    document.body.style.setProperty("--split", `${this.split.value}%`);
  }

  #turn() {
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark" ||
      (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    this.#theme(dark ? "light" : "dark");
  }

  /** @param {string | null} name null follows the system */
  #theme(name) {
    if (name !== "light" && name !== "dark") return;
    document.documentElement.dataset.theme = name;
    localStorage.setItem(THEME_KEY, name);
  }
}
