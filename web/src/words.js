// @ts-check
/** What the state means, in words. Pure: `view.js` shows what these return. */

import { complete, isPlain } from "./mapping_panel.js";

/**
 * @typedef {import("./store.js").PageState} PageState
 * @typedef {{ title: string, text: string, code?: string, action?: "resume_here" | "retry" | "play" }} Card
 */

export const ACTION_WORDS = { resume_here: "Bring the call back here", retry: "Try again", play: "Play" };

/** The big sentence under the pictures. @param {PageState} state @returns {{ headline: string, detail: string }} */
export function stateWords(state) {
  if (state.phase === "live" && state.server) return liveWords(state, state.server);
  const face = faceTitle(state);
  switch (state.phase) {
    case "ready":
      return { headline: `You will appear as ${face}.`, detail: "Nothing is sent before you go live." };
    case "starting":
    case "live":
      return { headline: "Connecting.", detail: "You are covered until the first converted picture is there." };
    case "joining":
      return { headline: "Joining.", detail: "Asking the server for a place." };
    case "full":
      return { headline: "Waiting for a place.", detail: state.sentence };
    default:
      return { headline: "Not in a call.", detail: "Camera and microphone are off." };
  }
}

/** @param {PageState} state @param {import("./protocol.js").CallState} server */
function liveWords(state, server) {
  const silent = state.path === "chunks" || state.figures?.kbpsIn === 0;
  if (state.pathState !== "connected" || (state.socket !== "up" && silent)) {
    return { headline: "Reconnecting.", detail: "Your choices are kept, and the page keeps trying." };
  }
  return { headline: pictureWords(state, server), detail: `${faceDetail(state, server)} ${voiceWords(state, server)}`.trim() };
}

/** @param {PageState} state @param {import("./protocol.js").CallState} server */
function pictureWords(state, server) {
  const raw = rawWords(server);
  if (raw) return `${raw} being sent.`;
  if (!state.hasCamera) return "You are heard, not seen.";
  if (server.muted_video) return "Camera off: a card is shown.";
  switch (server.picture) {
    case "live": return isPlain(complete(server.mapping)) ? `You appear as ${faceTitle(state)}.` : "Each appears as you chose.";
    case "frozen": return "Held: the last safe picture.";
    case "card": return coveredWords(state, server);
    default: return "Covered until the first safe picture.";
  }
}

/**
 * Whose real face passthrough sends: with people named, theirs stays covered, and it is for the others alone.
 * @param {import("./protocol.js").CallState | null} server @returns {"mine" | "others" | "nobody"}
 */
export function rawFace(server) {
  if (!server?.passthrough_face) return "nobody";
  const mapping = complete(server.mapping);
  if (isPlain(mapping)) return "mine";
  return mapping.others === "passthrough" ? "others" : "nobody";
}

/** What passthrough sends, to stand before "being sent"; empty while nothing is raw. @param {import("./protocol.js").CallState} server */
export function rawWords(server) {
  const face = rawFace(server);
  const voice = server.passthrough_voice;
  if (face === "mine") return voice ? "Your real face and voice are" : "Your real face is";
  if (face === "others") return `The real faces of all who are not named${voice ? ", and your real voice," : ""} are`;
  return voice ? "Your real voice is" : "";
}

/** @param {PageState} state @param {import("./protocol.js").CallState} server */
function coveredWords(state, server) {
  if (engineDown(state)) return "Covered: the engine restarts.";
  return isPlain(complete(server.mapping)) ? "Covered: no face found." : "Covered: nobody is recognised.";
}

/** @param {PageState} state @param {import("./protocol.js").CallState} server */
function faceDetail(state, server) {
  const raw = rawFace(server);
  if (raw !== "nobody") return `Switch passthrough off ${raw === "mine" ? "to be covered again" : "to cover them again"}.`;
  if (!state.hasCamera) return "";
  if (server.picture === "card" && engineDown(state)) return "You appear again by yourself when it runs.";
  if (server.picture === "card" && !server.muted_video) return "Look into the camera; you appear again when your face is found.";
  return "Your real face does not leave this server.";
}

/** @param {PageState} state */
function engineDown(state) {
  return state.engines !== null && state.engines.face_state !== "ready";
}

/** @param {PageState} state @param {import("./protocol.js").CallState} server */
function voiceWords(state, server) {
  if (server.passthrough_voice) return "";
  if (!state.hasMicrophone) return "No microphone is in use.";
  if (server.muted_audio) return "Your microphone is muted.";
  if (server.sound === "live") return soundWords(state, server);
  return server.sound === "waiting" ? "Your voice is silent until its disguise runs." : "Your voice is silent: it cannot be disguised right now.";
}

/** @param {PageState} state @param {import("./protocol.js").CallState} server */
function soundWords(state, server) {
  if (isImported(server)) return importedWords(state, server);
  if (server.voice.reference) return "Your voice is drawn towards your clip.";
  return server.voice.preset === "disguise" ? "Your voice is disguised." : `Your voice is disguised: ${voiceTitle(state)}.`;
}

/** Whether an imported voice was chosen. @param {{ voice: import("./protocol.js").VoiceChoice } | null} server */
export function isImported(server) {
  return server?.voice.preset?.startsWith("rvc:") ?? false;
}

/** @param {PageState} state @param {import("./protocol.js").CallState} server */
function importedWords(state, server) {
  if (server.voice_preparing) return "Your voice is disguised by a built-in voice.";
  return `You speak with the imported voice ${voiceTitle(state)}.${lateWords(server)}`;
}

/** @param {import("./protocol.js").CallState} server */
function lateWords(server) {
  return server.voice_over_budget ? " It is over 250 ms late: this server is slow for it." : "";
}

/** What stands below the voices: what was chosen, and how it is. @param {import("./protocol.js").CallState | null} server @param {string} description */
export function choiceWords(server, description) {
  if (!server || !isImported(server)) return description;
  if (server.voice_preparing) return `${description} It is being loaded; a built-in voice speaks until it is there.`;
  return `${description}${lateWords(server)}`;
}

/** @param {PageState} state */
export function faceTitle(state) {
  const worn = state.server?.identity;
  return state.identities.find((each) => each.id === worn)?.title ?? "someone else";
}

/** @param {PageState} state */
export function voiceTitle(state) {
  const name = state.server?.voice.preset;
  return state.welcome?.voices.find((each) => each.name === name)?.title ?? name ?? "someone else";
}

/** What lies over the picture when there is no call to show. @param {PageState} state @returns {Card | null} */
export function cardFor(state) {
  switch (state.phase) {
    case "no_link":
      return { title: "Open the link printed by the server", text: "Every call starts from a link that works once. Make a new one on the server:", code: "mirage-rtc token" };
    case "refused":
      return { title: "This link does not open a call", text: `${state.sentence} A new one comes from the server:`, code: "mirage-rtc token" };
    case "moved":
      return { title: "The call moved to another tab", text: "One tab at a time can be in a call. Close the other one, or bring the call back.", action: "resume_here" };
    case "full":
      return { title: "The server is full", text: `${state.sentence} This page asks again by itself.` };
    case "ended":
      return { title: "The call has ended", text: state.sentence || "Camera and microphone are off. A new call needs a new link:", code: "mirage-rtc token" };
    default:
      return lostCard(state);
  }
}

/** @param {PageState} state @returns {Card | null} */
function lostCard(state) {
  if (state.socket === "up" || state.retryInMs === null || state.showing) return null;
  return { title: "The server does not answer", text: "Check that it is running and that this device is online. The page keeps trying; your choices are kept." };
}

/** The pill in the header. @param {PageState} state @returns {{ words: string, tone: "idle" | "good" | "warn" | "bad" }} */
export function connectionWords(state) {
  if (state.phase === "joining" && state.socket !== "down") return { words: "Joining", tone: "idle" };
  if (["no_link", "refused", "moved", "ended"].includes(state.phase)) return { words: "Not connected", tone: "idle" };
  if (state.socket !== "up") return { words: retryWords(state.retryInMs), tone: "bad" };
  if (state.phase === "ready") return { words: "Ready", tone: "good" };
  if (state.pathState === "recovering") return { words: "Reconnecting the media", tone: "warn" };
  if (state.pathState !== "connected") return { words: "Connecting the media", tone: "warn" };
  const rtt = state.figures?.rttMs;
  const suffix = rtt === null || rtt === undefined ? "" : ` · ${Math.round(rtt)} ms round trip`;
  if (state.path === "chunks") return { words: `Live over WebSocket${suffix}`, tone: "warn" };
  return { words: `Live over WebRTC${suffix}`, tone: "good" };
}

/** @param {number | null} retryInMs */
function retryWords(retryInMs) {
  if (retryInMs === null) return "Connecting";
  return `Server gone, next try in ${(retryInMs / 1000).toFixed(1)} s`;
}

/** @param {import("./protocol.js").Engines | null} engines @param {import("./protocol.js").CallState | null} server the call, whose voice may have an engine of its own */
export function engineWords(engines, server) {
  if (!engines) return "";
  const how = (/** @type {string} */ state) => (state === "ready" ? "" : ` (${state})`);
  const voice = server?.voice_engine || engines.voice_name;
  return `Face engine: ${engines.face_name}${how(engines.face_state)} · Voice engine: ${voice}${how(engines.voice_state)}`;
}

/** Why this face may be worn. @param {PageState} state */
export function consentWords(state) {
  const worn = state.identities.find((each) => each.id === state.server?.identity);
  if (!worn) return "";
  if (worn.kind === "mask") return `${worn.title} is drawn and is nobody, so it needs no consent.`;
  return worn.receipt_id ? `Consent for ${worn.title} is on record, receipt ${worn.receipt_id}.` : `Consent for ${worn.title} is on record.`;
}
