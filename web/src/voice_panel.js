// @ts-check
/** The voices to choose from, the sliders, and “like this clip”. */

import { ClipRecorder, RECORD_S, readClip } from "./clip.js";
import { find, make, roveRadios, say } from "./dom.js";
import { ONLY, SLIDERS, changedWords, fineWords, microphoneOf, valuesOf, withValues } from "./voice_sliders.js";
import { choiceWords, isImported } from "./words.js";

/** @typedef {Required<import("./protocol.js").VoiceChoice>} Voice */

/**
 * @typedef {{ choose: (voice: Voice) => void, reference: (wav: Blob) => Promise<import("./protocol.js").VoiceReference>,
 *   microphone: () => string }} VoiceHooks
 */

const CLIP = { name: "clip", title: "Like your clip", description: "Drawn towards the voice in the clip." };
const SEND_AFTER_MS = 120;
/** Custom must be a step away from the person's own voice; the server refuses less than two semitones. */
const CUSTOM_START = { pitch_semitones: 3, formant_ratio: 1.08 };

/** @param {import("./protocol.js").VoiceChoice | undefined} voice @returns {Voice} */
export function complete(voice) {
  return {
    preset: "disguise", pitch_semitones: 0, formant_ratio: 1, breath: 0, reference: null,
    index_rate: 0, protect: 0.33, input_gain_db: 0, gate_db: null, denoise: false, auto_pitch: false, ...voice,
  };
}

export class VoicePanel {
  /** @param {import("./store.js").Store} store @param {VoiceHooks} hooks */
  constructor(store, hooks) {
    this.store = store;
    this.hooks = hooks;
    this.box = find("voices", HTMLDivElement);
    this.fine = find("fine-tune", HTMLDetailsElement);
    this.sliders = SLIDERS.map((id) => find(id, HTMLInputElement));
    this.denoise = find("denoise", HTMLInputElement);
    this.autoPitch = find("auto-pitch", HTMLInputElement);
    this.words = find("clip-words", HTMLParagraphElement);
    this.recordButton = find("clip-record", HTMLButtonElement);
    this.uploadButton = find("clip-upload", HTMLButtonElement);
    this.file = find("clip-file", HTMLInputElement);
    this.voice = complete(undefined);
    this.clip = /** @type {string | null} */ (null);
    this.timer = 0;
    this.drawn = "";
    this.recorder = new ClipRecorder(find("clip-progress", HTMLProgressElement));
    roveRadios(this.box);
    for (const slider of this.sliders) slider.oninput = () => this.#slid();
    this.denoise.onchange = this.autoPitch.onchange = () => this.#slid();
    this.recordButton.onclick = () => void this.#record();
    this.uploadButton.onclick = () => this.file.click();
    this.file.onchange = () => void this.#upload();
    store.watch((state) => this.#render(state));
  }

  /** @param {import("./store.js").PageState} state */
  #render(state) {
    const voices = [...(state.welcome?.voices ?? []), ...(this.clip ? [CLIP] : [])];
    if (!this.timer) this.voice = complete(state.server?.voice); // a slider under the finger is ahead of the server
    const chosen = this.voice.reference ? CLIP.name : this.voice.preset;
    const key = voices.map((each) => each.name).join();
    if (key !== this.drawn) this.#draw(voices);
    this.drawn = key;
    for (const card of /** @type {NodeListOf<HTMLButtonElement>} */ (this.box.querySelectorAll(".voice"))) {
      const checked = card.dataset.voice === chosen;
      card.ariaChecked = String(checked);
      card.tabIndex = checked ? 0 : -1;
      card.disabled = state.socket !== "up";
    }
    const description = voices.find((each) => each.name === chosen)?.description ?? "";
    say(find("voice-words", HTMLParagraphElement), choiceWords(state.server, description));
    for (const button of [this.recordButton, this.uploadButton]) button.disabled = state.socket !== "up" || this.recorder.busy;
    this.#showSliders();
  }

  /** Imported voices are a group of their own, below. @param {import("./protocol.js").VoicePreset[]} voices */
  #draw(voices) {
    const imported = voices.filter((each) => each.kind === "imported");
    const builtIn = voices.filter((each) => each.kind !== "imported");
    const title = make("p", { className: "voice-group", textContent: "Imported voices" });
    const cards = imported.map((each) => this.#card(each));
    this.box.replaceChildren(...builtIn.map((each) => this.#card(each)), ...(cards.length ? [title, ...cards] : []));
  }

  /** @param {import("./protocol.js").VoicePreset} preset */
  #card(preset) {
    const card = make("button", { type: "button", className: "voice", role: "radio", title: preset.description, textContent: preset.title });
    card.dataset.voice = preset.name;
    card.onclick = () => this.#choose(preset.name);
    return card;
  }

  /** @param {string} name */
  #choose(name) {
    const kept = microphoneOf(this.voice);
    if (name === CLIP.name) this.voice = complete({ preset: "custom", reference: this.clip, ...kept });
    else if (name === "custom") this.voice = complete({ preset: name, ...CUSTOM_START, ...kept });
    else this.voice = complete({ preset: name, ...kept });
    if (name === "custom") this.fine.open = true;
    this.hooks.choose(this.voice);
    this.#showSliders();
  }

  #slid() {
    const slid = /** @type {import("./voice_sliders.js").Values} */ (
      Object.fromEntries(this.sliders.map((each) => [each.id, each.valueAsNumber]))
    );
    this.voice = { ...withValues(this.voice, slid, this.denoise.checked), auto_pitch: this.autoPitch.checked };
    this.#showSliders();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.hooks.choose(this.voice);
    }, SEND_AFTER_MS);
  }

  /** Each kind of voice has sliders of its own; an imported one has less room for formants: beyond it sounds like nobody. */
  #fitSliders() {
    const imported = isImported({ voice: this.voice });
    const auto = this.autoPitch.closest("label");
    if (auto) auto.hidden = !imported;
    for (const slider of this.sliders) {
      const only = /** @type {Record<string, string>} */ (ONLY)[slider.id];
      const label = slider.closest("label");
      if (label) label.hidden = only !== undefined && only !== (imported ? "imported" : "embedded");
      if (slider.id === "formant") [slider.min, slider.max] = imported ? ["0.89", "1.12"] : ["0.7", "1.4"];
    }
  }

  #showSliders() {
    this.#fitSliders();
    const words = fineWords(this.voice);
    const values = valuesOf(this.voice);
    for (const slider of this.sliders) {
      const id = /** @type {keyof typeof words} */ (slider.id);
      slider.valueAsNumber = values[id];
      slider.setAttribute("aria-valuetext", words[id]);
      say(find(`${id}-words`, HTMLOutputElement), words[id]);
    }
    this.denoise.checked = this.voice.denoise;
    this.autoPitch.checked = this.voice.auto_pitch;
    say(find("fine-words", HTMLSpanElement), changedWords(this.voice) || "as the preset is");
  }

  async #record() {
    say(this.words, "Recording. Let one person speak, close to the microphone, without music.");
    this.recordButton.disabled = this.uploadButton.disabled = true;
    await this.#measure(this.recorder.record(this.hooks.microphone(), RECORD_S));
  }

  async #upload() {
    const file = this.file.files?.[0];
    this.file.value = "";
    if (file) await this.#measure(readClip(file));
  }

  /** @param {Promise<Blob>} clip rejects with a sentence */
  async #measure(clip) {
    try {
      const { reference, title } = await this.hooks.reference(await clip);
      this.clip = reference;
      say(this.words, `${title || "The clip"} was measured. Your voice now moves towards it.`);
      this.#choose(CLIP.name);
    } catch (error) {
      say(this.words, error instanceof Error ? error.message : "The clip could not be used. Try another one.");
    }
    this.#render(this.store.value);
  }
}
