// @ts-check
/** The form before a portrait is used: who attests, for whom, why. Opened by `gallery.js`. */

import { find, say } from "./dom.js";

/** @typedef {{ attested_by: string, subject_name: string, relation: "self" | "permission", purpose: string, attests: boolean }} Consent */

const ATTEST = {
  self: "I am the person in this picture and agree that it is used for this purpose.",
  permission: "The person in this picture has given me permission to use it for this purpose.",
};

/** The first thing that is missing, as a sentence, or null. @param {Consent} consent @returns {{ field: keyof Consent, sentence: string } | null} */
export function missing(consent) {
  if (!consent.attested_by) return { field: "attested_by", sentence: "Write your name: the receipt says who answered for this picture." };
  if (!consent.subject_name) return { field: "subject_name", sentence: "Write the name of the person in the picture." };
  if (!consent.purpose) return { field: "purpose", sentence: "Write in a few words what it is for." };
  if (!consent.attests) return { field: "attests", sentence: "Tick the box: without consent the picture cannot be used." };
  return null;
}

/** What was chosen, in words: the server says by number which of several it cannot use. @param {{ name: string }[]} pictures */
export function named(pictures) {
  if (pictures.length === 1) return pictures[0]?.name ?? "";
  return `${pictures.length} pictures of one person: ${pictures.map((each, at) => `${at + 1} ${each.name}`).join(", ")}`;
}

export class ConsentDialog {
  /** @param {(pictures: File[], consent: Consent) => Promise<void>} enroll rejects with a sentence */
  constructor(enroll) {
    this.enroll = enroll;
    this.dialog = find("consent-dialog", HTMLDialogElement);
    this.form = find("consent-form", HTMLFormElement);
    this.preview = find("consent-preview", HTMLImageElement);
    this.error = find("consent-error", HTMLParagraphElement);
    this.submit = find("consent-submit", HTMLButtonElement);
    /** @type {File[]} */
    this.pictures = [];
    for (const id of ["consent-close", "consent-cancel"]) find(id, HTMLButtonElement).onclick = () => this.dialog.close();
    this.dialog.onclose = () => this.#forget();
    this.form.onchange = () => this.#relate();
    this.form.oninput = () => this.#complain(null);
    this.form.onsubmit = (event) => {
      event.preventDefault();
      void this.#send();
    };
  }

  /** @param {File[]} pictures of one person, the first is shown */
  open(pictures) {
    const [first] = pictures;
    if (this.dialog.open || !first) return;
    this.pictures = pictures;
    this.preview.src = URL.createObjectURL(first);
    say(find("consent-file", HTMLElement), named(pictures));
    this.#complain(null);
    this.#relate();
    this.dialog.showModal();
    this.#field("attested_by").focus();
  }

  /** @returns {Consent} */
  read() {
    const data = new FormData(this.form);
    const text = (/** @type {string} */ name) => String(data.get(name) ?? "").trim();
    const relation = data.get("relation") === "permission" ? "permission" : "self";
    const attestedBy = text("attested_by");
    return {
      attested_by: attestedBy, subject_name: relation === "self" ? attestedBy : text("subject_name"),
      relation, purpose: text("purpose"), attests: data.get("attests") === "on",
    };
  }

  async #send() {
    const consent = this.read();
    const lack = missing(consent);
    this.#complain(lack);
    if (lack || !this.pictures.length) return;
    this.submit.disabled = true;
    say(this.submit, this.pictures.length > 1 ? "Looking at the pictures…" : "Looking at the picture…");
    const problem = await this.enroll(this.pictures, consent).then(() => null, (error) => String(error.message));
    this.submit.disabled = false;
    say(this.submit, "Use this face");
    if (problem === null) this.dialog.close();
    else say(this.error, problem);
  }

  /** @param {{ field: keyof Consent, sentence: string } | null} lack */
  #complain(lack) {
    say(this.error, lack?.sentence ?? "");
    for (const name of ["attested_by", "subject_name", "purpose", "attests"]) {
      this.#field(name).setAttribute("aria-invalid", String(lack?.field === name));
    }
    if (lack) this.#field(lack.field).focus();
  }

  #relate() {
    const { relation } = this.read();
    find("subject-field", HTMLLabelElement).hidden = relation === "self";
    say(find("attest-words", HTMLSpanElement), ATTEST[relation]);
  }

  #forget() {
    URL.revokeObjectURL(this.preview.src);
    this.preview.removeAttribute("src");
    this.pictures = [];
    this.form.reset();
  }

  /** @param {string} name */
  #field(name) {
    return /** @type {HTMLInputElement} */ (this.form.elements.namedItem(name));
  }
}
