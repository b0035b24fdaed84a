// @ts-check
/** Who of several people wears what: a line for each portrait of the caller's, and what becomes of everybody else. */

import { find, make, say } from "./dom.js";

/**
 * @typedef {{ reference: string, wears: string, threshold?: number }} Entry
 * @typedef {"blur" | "swap" | "passthrough"} Others
 * @typedef {{ entries: Entry[], others: Others, lock: boolean }} Mapping
 */

/** No mapping: everybody wears the chosen face. @type {Mapping} */
export const PLAIN = { entries: [], others: "swap", lock: true };
const OTHERS = /** @type {const} */ ([["blur", "Blurred"], ["swap", "The chosen face"], ["passthrough", "Left as they are"]]);

/** @param {import("./protocol.js").MappingChoice | undefined} told @returns {Mapping} */
export function complete(told) {
  return { ...PLAIN, ...told };
}

/** @param {Mapping} mapping */
export function isPlain(mapping) {
  return mapping.entries.length === 0 && mapping.others === "swap";
}

/**
 * The mapping after one line was set; `wears` "" takes the line away. With the first line everybody else is blurred,
 * with the last one gone everybody wears the chosen face again.
 * @param {Mapping} mapping @param {string} reference @param {string} wears @returns {Mapping}
 */
export function withLine(mapping, reference, wears) {
  const former = mapping.entries.find((entry) => entry.reference === reference);
  const rest = mapping.entries.filter((entry) => entry.reference !== reference);
  const entries = wears ? [...rest, { ...former, reference, wears }] : rest;
  if (!entries.length) return PLAIN;
  return { ...mapping, entries, others: isPlain(mapping) ? "blur" : mapping.others };
}

/** @param {Mapping} mapping @param {boolean} canMap @param {boolean} passing whether passthrough is on for the face */
export function mappingWords(mapping, canMap, passing) {
  if (isPlain(mapping)) return "everybody wears the chosen face";
  if (!canMap) return "nobody can be recognised now: everybody is covered";
  const count = mapping.entries.length;
  const others = { blur: "others blurred", swap: "others in the chosen face", passthrough: passing ? "others as they are" : "others blurred until passthrough is on" }[mapping.others];
  return `${count || "no"} ${count === 1 ? "person" : "people"} known, ${others}`;
}

export class MappingPanel {
  /** @param {import("./store.js").Store} store @param {(mapping: Mapping) => void} ask */
  constructor(store, ask) {
    this.ask = ask;
    this.mapping = PLAIN;
    this.drawn = "";
    this.panel = find("mapping", HTMLDetailsElement);
    this.rows = find("mapping-rows", HTMLDivElement);
    this.others = find("mapping-others", HTMLSelectElement);
    this.off = find("mapping-off", HTMLButtonElement);
    this.others.append(...OTHERS.map(([value, label]) => make("option", { value }, label)));
    this.others.onchange = () => this.#ask({ ...this.mapping, others: /** @type {Others} */ (this.others.value) });
    this.off.onclick = () => this.#ask(PLAIN);
    store.watch((state) => this.#render(state));
  }

  /** The selects show what the server does: a choice that it refuses goes back by itself. @param {Mapping} mapping */
  #ask(mapping) {
    this.ask(mapping);
    this.#show();
  }

  /** @param {import("./store.js").PageState} state */
  #render(state) {
    const { server, welcome, identities, thumbnails } = state;
    const people = identities.filter((each) => each.kind === "portrait");
    const canMap = server?.can_map === true;
    this.mapping = complete(server?.mapping);
    this.panel.hidden = !canMap && isPlain(this.mapping);
    say(find("mapping-words", HTMLSpanElement), mappingWords(this.mapping, canMap, server?.passthrough_face === true));
    say(find("mapping-hint", HTMLParagraphElement), people.length
      ? "Who looks like a portrait wears what you choose for them. Whoever is not surely recognised is blurred."
      : "Add a portrait of each person first: by it they are recognised.");
    this.#draw(people, identities);
    for (const image of this.rows.querySelectorAll("img")) {
      const source = thumbnails[image.dataset.of ?? ""];
      if (source && image.src !== source) image.src = source;
      image.hidden = !source;
    }
    const bare = this.others.querySelector('[value="passthrough"]');
    if (bare instanceof HTMLOptionElement) bare.hidden = welcome?.grants.passthrough !== true;
    this.#show();
    for (const select of this.panel.querySelectorAll("select")) select.disabled = state.socket !== "up";
    this.others.disabled ||= isPlain(this.mapping);
    this.off.disabled = state.socket !== "up" || isPlain(this.mapping);
  }

  /** @param {import("./protocol.js").IdentityChoice[]} people @param {readonly import("./protocol.js").IdentityChoice[]} identities */
  #draw(people, identities) {
    const key = JSON.stringify(identities.map(({ id, title }) => [id, title]));
    if (key === this.drawn) return;
    this.drawn = key;
    this.rows.replaceChildren(...people.map((person) => {
      const select = make("select", { ariaLabel: `What ${person.title} wears` },
        make("option", { value: "" }, "Like others"), make("option", { value: "blur" }, "Blurred"),
        ...identities.map(({ id, title }) => make("option", { value: id }, title)));
      select.dataset.reference = person.id;
      select.onchange = () => this.#ask(withLine(this.mapping, person.id, select.value));
      const image = make("img", { alt: "", hidden: true });
      image.dataset.of = person.id;
      const picture = make("span", { className: "blank" }, image);
      return make("label", { className: "field row" }, picture, make("span", { className: "name" }, person.title), select);
    }));
  }

  #show() {
    for (const select of /** @type {NodeListOf<HTMLSelectElement>} */ (this.rows.querySelectorAll("select"))) {
      select.value = this.mapping.entries.find((entry) => entry.reference === select.dataset.reference)?.wears ?? "";
    }
    this.others.value = isPlain(this.mapping) ? "blur" : this.mapping.others;
  }
}
