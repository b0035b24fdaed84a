// @ts-check
/** The page's composition root: makes every part once and ties them together. */

import { forget, keep, linkToken, recall, takeLinkToken } from "./admission.js";
import { Api, Refused } from "./api.js";
import { backoffMs } from "./backoff.js";
import { Charts } from "./charts.js";
import { DevicePanel } from "./device_panel.js";
import { INSECURE } from "./devices.js";
import { find } from "./dom.js";
import { EnhancerPanel } from "./enhancer_panel.js";
import { Gallery } from "./gallery.js";
import { Inbox } from "./inbox.js";
import { Live } from "./live.js";
import { MappingPanel } from "./mapping_panel.js";
import { Notices } from "./notices.js";
import { Passthrough } from "./passthrough.js";
import { SavedVoices } from "./saved_voices.js";
import { SignalSocket } from "./socket.js";
import { Stage } from "./stage.js";
import { report } from "./stats.js";
import { INITIAL, Store } from "./store.js";
import { View } from "./view.js";
import { VoicePanel } from "./voice_panel.js";

let linked = takeLinkToken(location, history);
let kept = recall(sessionStorage);
const store = new Store(INITIAL);
const notices = new Notices();
const api = new Api(() => kept?.resume_token ?? "");
const notice = notices.show.bind(notices);
const signalUrl = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/signal`;

const devicePanel = new DevicePanel({
  changed: (kind) => void live.devices.reopen(kind),
  speaker: (id) => void live.speaker(id),
  path: () => void repath(),
});
let socket = newSocket();
const live = new Live(store, socket, {
  camera: find("local-video", HTMLVideoElement), screen: find("chunk-canvas", HTMLCanvasElement), remote: find("remote-video", HTMLVideoElement),
}, {
  notice, unblock, choice: () => devicePanel.choice(), onlyChunks: () => devicePanel.path.value === "chunks",
  speakerMs: () => devicePanel.speakerMs(),
});
const inbox = new Inbox(store, api, live, notice, remember);

new Stage();
new Charts(store);
new Gallery(store, {
  wear: (identity) => socket.send({ type: "set_identity", identity }),
  remove: (id) => api.remove(id).then(() => inbox.refreshIdentities(), (error) => notice("identity", error.message, "warning")),
  enroll: async (pictures, consent) => {
    const made = await api.enroll(pictures, consent);
    await inbox.refreshIdentities();
    socket.send({ type: "set_identity", identity: made.id });
  },
  notice,
});
new VoicePanel(store, {
  choose: (voice) => socket.send({ type: "set_voice", ...voice }),
  reference: (wav) => api.reference(wav),
  microphone: () => devicePanel.choice().microphone,
});
new SavedVoices(store, {
  list: () => api.savedVoices(),
  save: (name, voice) => api.saveVoice(name, voice),
  remove: (name) => api.removeVoice(name),
  wear: (voice) => socket.send({ type: "set_voice", ...voice }),
});
new MappingPanel(store, (mapping) => socket.send({ type: "set_mapping", ...mapping }));
new EnhancerPanel(store, (wish) => socket.send({ type: "set_enhancer", ...wish }));
new Passthrough(store, (on) => socket.send({ type: "set_passthrough", face: on, voice: on }));
new View(store, {
  goLive: () => void live.start(),
  hangUp: () => hangUp(),
  muteMic: () => mute({ micOff: !store.value.micOff }),
  muteCamera: () => mute({ cameraOff: !store.value.cameraOff }),
  monitor: () => monitor(),
  badge: (visible) => socket.send({ type: "set_badge", visible }),
  action: () => resumeHere(),
});

let wasLive = false;
let reported = store.value.figures;
store.watch(({ phase, hasMicrophone, figures }) => {
  devicePanel.listen((hasMicrophone && live.devices.stream?.getAudioTracks()[0]) || null);
  if (figures && figures !== reported) socket.send(report(figures));
  reported = figures;
  const isLive = phase === "live";
  if (isLive === wasLive) return;
  wasLive = isLive;
  if (isLive) void devicePanel.refresh();
  if (kept && (isLive || phase === "ready")) remember({ ...kept, live: isLive });
});
addEventListener("hashchange", () => {
  if (linkToken(location.hash)) location.reload(); // a new link pasted over this page: begin again with it
});
Object.defineProperty(window, "mirageDebug", { get: snapshot });
if (!navigator.mediaDevices) notice("both_insecure", INSECURE, "error");
void join();

/** @param {import("./admission.js").Kept} value */
function remember(value) {
  kept = value;
  keep(sessionStorage, value);
}

function newSocket() {
  return new SignalSocket(signalUrl, () => kept?.resume_token ?? "", {
    onState: (state, retryInMs) => store.set({ socket: state, retryInMs }),
    onMessage: (message) => inbox.take(message),
    onChunk: (data) => live.chunk(data),
    onOver: (code, sentence) => over(code, sentence),
    stillValid,
  });
}

/** The link's token first; without one, or when it is spent, the session this tab was in. */
async function join(attempt = 0) {
  if (!linked) return kept ? socket.connect() : store.set({ phase: "no_link" });
  try {
    const { session_id, resume_token } = await api.admit(linked);
    linked = null;
    remember({ session_id, resume_token, live: false });
    socket.connect();
  } catch (error) {
    if (error instanceof Refused) turnedAway(error, attempt);
    else throw error;
  }
}

/** @param {Refused} refused @param {number} attempt */
function turnedAway(refused, attempt) {
  if (refused.retryable) {
    const wait = backoffMs(refused.code === "unreachable" ? attempt : attempt + 3);
    const unreachable = refused.code === "unreachable";
    store.set({ phase: unreachable ? "joining" : "full", sentence: refused.message, socket: "down", retryInMs: wait });
    setTimeout(() => void join(attempt + 1), wait);
    return;
  }
  linked = null;
  if (kept) return void join(); // the link of this very tab, opened once more
  store.set({ phase: "refused", sentence: refused.message });
}

/** @returns {Promise<{ code: string, sentence: string } | null>} */
async function stillValid() {
  if (!kept) return { code: "gone", sentence: "There is no call to go back to." };
  try {
    await api.look(kept.session_id);
  } catch (error) {
    if (error instanceof Refused && !error.retryable && error.status >= 400) return { code: "gone", sentence: error.message };
  }
  return null;
}

/** @param {string} code @param {string} sentence */
function over(code, sentence) {
  live.stop();
  if (code === "replaced") return store.set({ phase: "moved", sentence, retryInMs: null });
  forget(sessionStorage);
  kept = null;
  store.set({ phase: "ended", sentence: code === "bye" ? "" : sentence, retryInMs: null, server: null });
}

function resumeHere() {
  store.set({ phase: "joining" });
  socket.stop();
  socket = live.socket = newSocket();
  socket.connect();
}

/** The session stays, so that going live again needs no new link. */
function hangUp() {
  live.stop();
  store.set({ phase: "ready" });
  socket.send({ type: "set_muted", audio: true, video: true });
  notice("hung_up", "You are off. Camera and microphone are released; “Go live” starts again.", "info");
}

/** @param {{ micOff?: boolean, cameraOff?: boolean }} change */
function mute(change) {
  store.set(change);
  if (store.value.phase !== "ready") live.sendMuted();
}

function monitor() {
  const on = !store.value.monitor;
  store.set({ monitor: on });
  live.monitor(on);
  if (on && !devicePanel.choice().headphones) notice("monitor", "Wear headphones: over speakers your own voice comes back into the microphone and howls.", "warning");
}

async function repath() {
  if (!live.running) return;
  store.set({ fellBack: false });
  await live.reconnect();
}

function unblock() {
  notice("autoplay", "The browser blocks playback until you press.", "warning", {
    words: "Play", press: () => void find("remote-video", HTMLVideoElement).play(),
  });
}

/** For tests and for a look from the console: copies, so that nothing here can be changed through it. */
function snapshot() {
  const { welcome, thumbnails: _, figures, ...state } = store.value;
  const connection = { path: state.path, pathState: state.pathState, socket: state.socket, ice: live.call?.peer.connectionState ?? null };
  return structuredClone({ state: { ...state, sessionId: welcome?.session_id ?? null, grants: welcome?.grants ?? null }, stats: figures, connection });
}
