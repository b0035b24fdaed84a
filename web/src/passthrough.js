// @ts-check
/** The only way to be shown undisguised: granted by the link, switched on behind a second question, red while it lasts. */

import { find, say } from "./dom.js";
import { rawWords } from "./words.js";

export class Passthrough {
  /** @param {import("./store.js").Store} store @param {(on: boolean) => void} ask */
  constructor(store, ask) {
    this.ask = ask;
    this.toggle = find("passthrough", HTMLInputElement);
    this.dialog = find("passthrough-dialog", HTMLDialogElement);
    this.sure = find("passthrough-sure", HTMLInputElement);
    this.confirm = find("passthrough-confirm", HTMLButtonElement);
    this.toggle.onclick = (event) => this.#pressed(event);
    this.sure.onchange = () => {
      this.confirm.disabled = !this.sure.checked;
    };
    this.confirm.onclick = () => {
      this.dialog.close();
      this.ask(true);
    };
    find("passthrough-cancel", HTMLButtonElement).onclick = () => this.dialog.close();
    find("red-alert-stop", HTMLButtonElement).onclick = () => this.ask(false);
    store.watch((state) => this.#render(state));
  }

  /** The switch shows what the server does, so a press alone moves nothing. @param {Event} event */
  #pressed(event) {
    event.preventDefault();
    if (this.on) return this.ask(false);
    this.sure.checked = false;
    this.confirm.disabled = true;
    this.dialog.showModal();
  }

  /** @param {import("./store.js").PageState} state */
  #render(state) {
    const { server, welcome } = state;
    const face = server?.passthrough_face === true;
    const voice = server?.passthrough_voice === true;
    this.on = face || voice;
    this.toggle.checked = this.on;
    this.toggle.disabled = state.socket !== "up";
    find("passthrough-row", HTMLLabelElement).hidden = !welcome?.grants.passthrough;
    const raw = server ? rawWords(server) : "";
    say(find("red-alert-words", HTMLElement), raw && `${raw} being sent, undisguised.`);
    find("red-alert", HTMLDivElement).hidden = !raw;
    document.body.dataset.raw = raw ? "yes" : "no";
  }
}
