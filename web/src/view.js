// @ts-check
/**
 * Shows the state: words, the card over the picture, the dock. Tests and scripts may rely on these names:
 *
 *   #go-live #hang-up #mute-mic #mute-cam #monitor      the call controls; aria-pressed tells the last three
 *   #remote-video #chunk-canvas #local-video            returned over WebRTC, returned over the WebSocket, the raw camera
 *   #state-words #state-detail #connection #engines     the state in words
 *   #notices [data-code="..."]                          sentences with a code and a data-severity
 *   #stage-card #stage-title #stage-action              what lies over the picture when there is no call
 *   [data-identity="mask:..."] [data-voice="..."]       the choices; aria-checked tells which one
 *   #add-portrait #portrait-file #consent-dialog        uploading a face
 *   #passthrough #passthrough-confirm #red-alert        undisguised
 *   #badge #camera-select #mic-select #speaker-select #headphones #transport-select
 *   [data-figure="glass|mouth|fps|kbps|drops|skew"]     the live figures
 *   body[data-phase][data-view][data-picture][data-sound][data-media][data-path][data-raw]
 *   window.mirageDebug = { state, stats, connection }   a snapshot, read only (main.js)
 */

import { find, say } from "./dom.js";
import { ACTION_WORDS, cardFor, connectionWords, consentWords, engineWords, rawFace, stateWords } from "./words.js";

/**
 * @typedef {import("./store.js").PageState} PageState
 * @typedef {{ goLive: () => void, hangUp: () => void, muteMic: () => void, muteCamera: () => void, monitor: () => void,
 *   badge: (visible: boolean) => void, action: (name: "resume_here" | "retry" | "play") => void }} ViewHooks
 */

const BEFORE_LIVE = new Set(["joining", "ready", "no_link", "refused", "moved", "full", "ended"]);

export class View {
  /** @param {import("./store.js").Store} store @param {ViewHooks} hooks */
  constructor(store, hooks) {
    this.goLive = find("go-live", HTMLButtonElement);
    this.hangUp = find("hang-up", HTMLButtonElement);
    this.mic = find("mute-mic", HTMLButtonElement);
    this.camera = find("mute-cam", HTMLButtonElement);
    this.monitor = find("monitor", HTMLButtonElement);
    this.badge = find("badge", HTMLInputElement);
    this.action = find("stage-action", HTMLButtonElement);
    this.goLive.onclick = hooks.goLive;
    this.hangUp.onclick = hooks.hangUp;
    this.mic.onclick = hooks.muteMic;
    this.camera.onclick = hooks.muteCamera;
    this.monitor.onclick = hooks.monitor;
    this.badge.onchange = () => hooks.badge(this.badge.checked);
    this.action.onclick = () => hooks.action(/** @type {any} */ (this.action.dataset.action));
    store.watch((state) => this.#render(state));
  }

  /** @param {PageState} state */
  #render(state) {
    this.#body(state);
    this.#words(state);
    this.#card(state);
    this.#dock(state);
    this.#still(state);
    this.#badge(state);
  }

  /** @param {PageState} state */
  #body(state) {
    const live = state.phase === "live";
    Object.assign(document.body.dataset, {
      phase: state.phase, path: state.path, picture: state.server?.picture ?? "waiting", sound: state.server?.sound ?? "waiting",
      media: live && state.showing && state.hasCamera ? "on" : "off",
    });
    for (const empty of document.querySelectorAll("[data-empty]")) /** @type {HTMLElement} */ (empty).hidden = state.welcome !== null;
    for (const full of document.querySelectorAll("[data-full]")) /** @type {HTMLElement} */ (full).hidden = state.welcome === null;
    find("chunk-canvas", HTMLCanvasElement).hidden = state.path !== "chunks";
    find("remote-video", HTMLVideoElement).hidden = state.path === "chunks";
    find("before-empty", HTMLParagraphElement).hidden = state.hasCamera && !state.cameraOff;
    find("local-video", HTMLVideoElement).hidden = !state.hasCamera || state.cameraOff;
    say(find("before-empty", HTMLParagraphElement), emptyWords(state));
  }

  /** @param {PageState} state */
  #words(state) {
    const { headline, detail } = stateWords(state);
    say(find("state-words", HTMLParagraphElement), headline);
    say(find("state-detail", HTMLParagraphElement), detail);
    const pill = find("connection", HTMLParagraphElement);
    const connection = connectionWords(state);
    say(pill, connection.words);
    pill.dataset.tone = connection.tone;
    say(find("engines", HTMLParagraphElement), engineWords(state.engines, state.server));
    say(find("consent-words", HTMLParagraphElement), consentWords(state));
    const raw = rawFace(state.server) !== "nobody";
    say(find("after-words", HTMLSpanElement), raw ? "After, undisguised" : "After, what the server returns");
    document.title = state.phase === "live" ? `Live · ${headline} · Mirage` : "Mirage";
  }

  /** @param {PageState} state */
  #card(state) {
    const card = cardFor(state);
    find("stage-card", HTMLDivElement).hidden = !card;
    if (!card) return;
    say(find("stage-title", HTMLHeadingElement), card.title);
    say(find("stage-text", HTMLParagraphElement), card.text);
    const code = find("stage-code", HTMLElement);
    code.hidden = !card.code;
    say(code, card.code ?? "");
    this.action.hidden = !card.action;
    if (!card.action) return;
    this.action.dataset.action = card.action;
    say(this.action, ACTION_WORDS[card.action]);
  }

  /** @param {PageState} state */
  #dock(state) {
    const running = !BEFORE_LIVE.has(state.phase);
    this.goLive.hidden = running;
    this.hangUp.hidden = !running;
    this.goLive.disabled = state.phase !== "ready" || state.socket !== "up";
    say(this.hangUp, state.phase === "starting" ? "Connecting… press to cancel" : "Hang up");
    this.mic.disabled = state.phase === "live" && !state.hasMicrophone;
    this.camera.disabled = state.phase === "live" && !state.hasCamera;
    press(this.mic, state.micOff, state.micOff ? "mic-off" : "mic", state.micOff ? "Unmute" : "Mute");
    press(this.camera, state.cameraOff, state.cameraOff ? "cam-off" : "cam", state.cameraOff ? "Camera on" : "Camera off");
    press(this.monitor, state.monitor, "ear", state.monitor ? "Stop hearing" : "Hear yourself");
    say(find("monitor-hint", HTMLParagraphElement), monitorWords(state));
  }

  /** The chosen face stands where the result will be. @param {PageState} state */
  #still(state) {
    const source = state.thumbnails[state.server?.identity ?? ""];
    for (const id of ["after-haze", "after-still"]) {
      const image = find(id, HTMLImageElement);
      if (source && image.src !== source) image.src = source;
      image.hidden = !source || document.body.dataset.media === "on";
    }
  }

  /** @param {PageState} state */
  #badge(state) {
    const may = state.welcome?.grants.badge_off === true;
    this.badge.checked = state.server?.badge ?? true;
    this.badge.disabled = !may || state.socket !== "up";
    say(find("badge-hint", HTMLElement), may ? "Tells people that they see a made face" : "This link does not allow it to be hidden");
  }
}

/** @param {HTMLButtonElement} button @param {boolean} pressed @param {string} symbol @param {string} label */
function press(button, pressed, symbol, label) {
  button.setAttribute("aria-pressed", String(pressed));
  button.querySelector("use")?.setAttribute("href", `#i-${symbol}`);
  const words = /** @type {HTMLElement} */ (button.lastElementChild);
  say(words, label);
}

/** @param {PageState} state */
function emptyWords(state) {
  if (state.cameraOff) return "Your camera is off";
  return BEFORE_LIVE.has(state.phase) ? "Your camera shows here" : "No camera is in use";
}

/** @param {PageState} state */
function monitorWords(state) {
  if (!state.monitor) return "You do not hear yourself, so nothing can howl. Put headphones on first.";
  return "You hear your new voice. If it howls, switch this off at once.";
}
