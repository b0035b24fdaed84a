// @ts-check
/** The HTTP side: admission, identities, thumbnails, voice references. Every refusal becomes a `Refused` with a sentence. */

/** A refusal by the server, or `code` "unreachable" when there was none to refuse. */
export class Refused extends Error {
  /** @param {string} code @param {string} sentence @param {boolean} retryable @param {number} status */
  constructor(code, sentence, retryable, status) {
    super(sentence);
    this.code = code;
    this.retryable = retryable;
    this.status = status;
  }
}

const UNREACHABLE = "The server cannot be reached. Check that it is running; the page keeps trying.";

export class Api {
  /** @param {() => string} bearer the resume token of now */
  constructor(bearer) {
    this.bearer = bearer;
  }

  /** Exchanges a link's token, once. @param {string} linkToken @returns {Promise<import("./protocol.js").Admission>} */
  async admit(linkToken) {
    return (await this.#ask("/v1/sessions", { method: "POST" }, linkToken)).json();
  }

  /** Throws `Refused` when the session is gone. @param {string} sessionId */
  async look(sessionId) {
    await this.#ask(`/v1/sessions/${encodeURIComponent(sessionId)}`);
  }

  /** @returns {Promise<import("./protocol.js").IdentityChoice[]>} */
  async identities() {
    const body = await (await this.#ask("/v1/identities")).json();
    return Array.isArray(body) ? body : body.identities;
  }

  /** @param {File[]} pictures of one person @param {import("./consent_dialog.js").Consent} consent @returns {Promise<import("./protocol.js").IdentityChoice>} */
  async enroll(pictures, consent) {
    const form = new FormData();
    for (const picture of pictures) form.append("picture", picture, picture.name || "portrait");
    form.append("consent", new Blob([JSON.stringify(consent)], { type: "application/json" }), "consent.json");
    return (await this.#ask("/v1/identities", { method: "POST", body: form })).json();
  }

  /** @param {string} id */
  async remove(id) {
    await this.#ask(`/v1/identities/${encodeURIComponent(id)}`, { method: "DELETE" });
  }

  /** A blob URL, since an <img> cannot carry the bearer token. @param {string} id */
  async thumbnail(id) {
    const reply = await this.#ask(`/v1/identities/${encodeURIComponent(id)}/thumbnail`);
    return URL.createObjectURL(await reply.blob());
  }

  /** @param {Blob} wav @returns {Promise<import("./protocol.js").VoiceReference>} */
  async reference(wav) {
    const headers = { "Content-Type": "audio/wav" };
    return (await this.#ask("/v1/voices/reference", { method: "POST", body: wav, headers })).json();
  }

  /** @returns {Promise<import("./protocol.js").SavedVoice[]>} */
  async savedVoices() {
    return (await (await this.#ask("/v1/voices/presets")).json()).presets;
  }

  /** @param {string} name @param {import("./protocol.js").VoiceChoice} voice */
  async saveVoice(name, voice) {
    const headers = { "Content-Type": "application/json" };
    await this.#ask(`/v1/voices/presets/${encodeURIComponent(name)}`, { method: "PUT", body: JSON.stringify(voice), headers });
  }

  /** @param {string} name */
  async removeVoice(name) {
    await this.#ask(`/v1/voices/presets/${encodeURIComponent(name)}`, { method: "DELETE" });
  }

  /** @param {string} path @param {RequestInit & { headers?: Record<string, string> }} [init] @param {string} [token] */
  async #ask(path, init = {}, token = this.bearer()) {
    const headers = { ...init.headers, Authorization: `Bearer ${token}` };
    const reply = await fetch(path, { ...init, headers, cache: "no-store" }).catch(() => null);
    if (!reply) throw new Refused("unreachable", UNREACHABLE, true, 0);
    if (!reply.ok) throw await refusal(reply);
    return reply;
  }
}

/** @param {Response} reply */
async function refusal(reply) {
  const problem = await reply.json().catch(() => null); // a proxy's own page is not JSON
  if (problem?.sentence) return new Refused(problem.code, problem.sentence, problem.retryable === true, reply.status);
  const sentence = `The server answered ${reply.status} without a reason. Try again, or look at its log.`;
  return new Refused("http", sentence, reply.status >= 500, reply.status);
}
