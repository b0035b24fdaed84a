// @ts-check
/** The faces to choose from: built-in masks and uploaded portraits, with drag and drop. */

import { ConsentDialog } from "./consent_dialog.js";
import { find, icon, make, roveRadios, say } from "./dom.js";

const TAKEN = ["image/jpeg", "image/png", "image/webp"];
const MOST = 8;

/**
 * @typedef {{
 *   wear: (id: string) => void, remove: (id: string) => Promise<void>,
 *   enroll: (pictures: File[], consent: import("./consent_dialog.js").Consent) => Promise<void>,
 *   notice: (code: string, sentence: string, severity: "info" | "warning" | "error") => void,
 * }} GalleryHooks
 */

export class Gallery {
  /** @param {import("./store.js").Store} store @param {GalleryHooks} hooks */
  constructor(store, hooks) {
    this.store = store;
    this.hooks = hooks;
    this.box = find("gallery", HTMLDivElement);
    this.zone = find("portrait-drop", HTMLDivElement);
    this.file = find("portrait-file", HTMLInputElement);
    this.add = find("add-portrait", HTMLButtonElement);
    this.consent = new ConsentDialog(hooks.enroll);
    /** @type {Map<string, { tile: HTMLElement, pick: HTMLButtonElement, image: HTMLImageElement }>} */
    this.tiles = new Map();
    roveRadios(this.box);
    this.add.onclick = () => this.file.click();
    this.file.onchange = () => {
      this.offer([...(this.file.files ?? [])]);
      this.file.value = "";
    };
    this.#takeDrops();
    store.watch((state) => this.#render(state));
  }

  /** One picture of a person, or several of the same. @param {File[]} pictures */
  offer(pictures) {
    if (!pictures.length) return;
    const { welcome } = this.store.value;
    if (!welcome?.grants.enroll) return this.hooks.notice("enroll", "This link does not allow your own portraits. Choose one of the masks.", "warning");
    if (pictures.length > MOST) return this.hooks.notice("enroll", `A face is made of at most ${MOST} pictures of one person. Choose the clearest.`, "warning");
    if (!pictures.every((each) => TAKEN.includes(each.type))) return this.hooks.notice("enroll", "That is no JPEG, PNG or WebP picture. Save it as one of these and try again.", "warning");
    const most = welcome.limits.upload_bytes;
    if (most > 0 && pictures.some((each) => each.size > most)) return this.hooks.notice("enroll", `That picture is larger than ${Math.floor(most / 1e6)} MB. Make it smaller and try again.`, "warning");
    this.consent.open(pictures);
  }

  #takeDrops() {
    addEventListener("dragover", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault(); // else a drop beside the field would leave the page, and the call
      this.zone.classList.add("over");
    });
    addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) this.zone.classList.remove("over");
    });
    addEventListener("drop", (event) => {
      event.preventDefault();
      this.zone.classList.remove("over");
      this.offer([...(event.dataTransfer?.files ?? [])]);
    });
  }

  /** @param {import("./store.js").PageState} state */
  #render(state) {
    const { identities, server, thumbnails, welcome } = state;
    this.zone.hidden = !welcome?.grants.enroll;
    this.add.disabled = !welcome || state.socket !== "up";
    for (const [id, { tile }] of this.tiles) if (!identities.some((each) => each.id === id)) this.#drop(id, tile);
    identities.forEach((identity, at) => {
      const { tile, pick, image } = this.tiles.get(identity.id) ?? this.#make(identity);
      if (this.box.children[at] !== tile) this.box.insertBefore(tile, this.box.children[at] ?? null);
      const worn = server?.identity === identity.id;
      pick.ariaChecked = String(worn);
      pick.tabIndex = worn || (at === 0 && !identities.some((each) => each.id === server?.identity)) ? 0 : -1;
      pick.disabled = state.socket !== "up";
      const source = thumbnails[identity.id];
      if (source && image.src !== source) image.src = source;
      image.hidden = !source;
      say(/** @type {HTMLElement} */ (pick.lastElementChild), identity.title);
    });
  }

  /** @param {import("./protocol.js").IdentityChoice} identity */
  #make(identity) {
    const image = make("img", { alt: "", draggable: false, hidden: true });
    const blank = make("div", { className: "blank" }, image);
    const pick = make("button", { type: "button", className: "face-pick", role: "radio", title: identity.description }, blank, make("span"));
    pick.dataset.identity = identity.id;
    pick.onclick = () => this.hooks.wear(identity.id);
    const tile = make("div", { className: "face" }, pick);
    if (identity.kind === "portrait") tile.append(this.#removal(identity));
    const made = { tile, pick, image };
    this.tiles.set(identity.id, made);
    return made;
  }

  /** @param {import("./protocol.js").IdentityChoice} identity */
  #removal(identity) {
    const label = `Remove ${identity.title} from the server's memory`;
    const button = make("button", { type: "button", className: "face-drop", ariaLabel: label, title: label }, icon("close"));
    button.onclick = () => void this.hooks.remove(identity.id);
    return button;
  }

  /** @param {string} id @param {HTMLElement} tile */
  #drop(id, tile) {
    tile.remove();
    this.tiles.delete(id);
  }
}
