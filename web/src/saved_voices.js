// @ts-check
/** The voices that one saved under names of one's own: save what is set now, wear one, remove one. */

import { find, make, say } from "./dom.js";

/** @typedef {import("./protocol.js").VoiceChoice} Voice */

/**
 * @typedef {{ list: () => Promise<import("./protocol.js").SavedVoice[]>, save: (name: string, voice: Voice) => Promise<void>,
 *   remove: (name: string) => Promise<void>, wear: (voice: Voice) => void }} SavedHooks
 */

export class SavedVoices {
  /** @param {import("./store.js").Store} store @param {SavedHooks} hooks */
  constructor(store, hooks) {
    this.store = store;
    this.hooks = hooks;
    this.name = find("saved-name", HTMLInputElement);
    this.button = find("saved-save", HTMLButtonElement);
    this.box = find("saved-list", HTMLDivElement);
    this.words = find("saved-words", HTMLParagraphElement);
    this.up = false;
    this.button.onclick = () => void this.#save();
    store.watch((state) => this.#render(state));
  }

  /** @param {import("./store.js").PageState} state */
  #render(state) {
    const up = state.socket === "up";
    this.button.disabled = !up;
    for (const button of this.box.querySelectorAll("button")) button.disabled = !up;
    if (up && !this.up) void this.#act(async () => {});
    this.up = up;
  }

  async #save() {
    const voice = this.store.value.server?.voice;
    const name = this.name.value.trim();
    if (!voice) return;
    if (!name) return say(this.words, "Give the voice a name first.");
    await this.#act(async () => {
      await this.hooks.save(name, voice);
      this.name.value = "";
      say(this.words, voice.reference ? `${name} was saved, without your clip.` : `${name} was saved.`);
    });
  }

  /** Does something, then shows what is there. @param {() => Promise<void>} what rejects with a sentence */
  async #act(what) {
    try {
      await what();
      const saved = await this.hooks.list();
      this.box.replaceChildren(...saved.map((each) => this.#row(each)));
    } catch (error) {
      say(this.words, error instanceof Error ? error.message : "The saved voices could not be read. Try again.");
    }
  }

  /** @param {import("./protocol.js").SavedVoice} saved */
  #row({ name, voice }) {
    const wear = make("button", { type: "button", textContent: name });
    wear.onclick = () => this.hooks.wear({ ...voice, reference: null });
    const remove = make("button", { type: "button", textContent: "Remove", ariaLabel: `Remove ${name}` });
    remove.onclick = () => void this.#act(async () => {
      await this.hooks.remove(name);
      say(this.words, `${name} was removed.`);
    });
    return make("div", { className: "clip-row" }, wear, remove);
  }
}
