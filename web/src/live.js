// @ts-check
/** The media of the call from “Go live” to “Hang up”: devices, WebRTC, its recovery, the WebSocket path when ICE fails. */

import { Call, CONNECT_AGAIN_MS, CONNECT_MS } from "./call.js";
import { Chunks } from "./chunks.js";
import { DeviceKeeper } from "./device_keeper.js";
import { FigureTaker } from "./figure_taker.js";

/**
 * @typedef {{ camera: HTMLVideoElement, screen: HTMLCanvasElement, remote: HTMLVideoElement }} Surfaces
 * @typedef {{ notice: (code: string, sentence: string, severity: "info" | "warning" | "error") => void,
 *   unblock: () => void, choice: () => import("./devices.js").Choice, onlyChunks: () => boolean, speakerMs: () => number | null }} LiveHooks
 *   `unblock` asks for a press, since the browser blocks playback; `speakerMs` is the sound card's delay, null where unknown
 */

const RETRIES_BEFORE_CHUNKS = 3;
const SILENT_S = 5;
/** Pictures of the caller; the others stand in for one, and say nothing of how old what is seen is. */
const LIVE = new Set(["live", "passthrough"]);

export class Live {
  /** @param {import("./store.js").Store} store @param {import("./socket.js").SignalSocket} socket @param {Surfaces} surfaces @param {LiveHooks} hooks */
  constructor(store, socket, surfaces, hooks) {
    this.store = store;
    this.socket = socket;
    this.surfaces = surfaces;
    this.hooks = hooks;
    this.running = false;
    this.sessionId = "";
    this.failures = 0;
    this.offers = 0;
    this.answers = 0;
    /** @type {Call | null} */
    this.call = null;
    /** @type {Chunks | null} */
    this.chunks = null;
    this.devices = new DeviceKeeper(store, surfaces.camera, hooks, () => this.#devicesChanged());
    this.silentS = 0;
    this.figures = new FigureTaker({
      onFigures: (now) => this.#took(now),
      serverClock: () => this.socket.clock(),
      covered: () => !LIVE.has(this.store.value.server?.picture ?? "waiting"),
      speakerMs: hooks.speakerMs,
      microphoneMs: () => this.devices.microphoneMs(),
    });
  }

  /** “Go live”. */
  async start() {
    this.store.set({ phase: "starting" });
    const stream = await this.devices.open(this.hooks.choice());
    if (this.store.value.phase !== "starting") return this.devices.close(); // cancelled while the browser asked
    if (!stream) return this.store.set({ phase: "ready" });
    this.running = true;
    this.failures = 0;
    await this.#connect();
  }

  /** “Hang up”, or the end of the session. */
  stop() {
    this.running = false;
    this.#dropPaths();
    this.devices.close();
    this.store.set({ path: "none", pathState: "idle", fellBack: false, showing: false, figures: null });
  }

  /** The session is there, anew or again. @param {import("./protocol.js").Welcome} welcome */
  async welcomed(welcome) {
    const same = this.sessionId === welcome.session_id;
    this.sessionId = welcome.session_id;
    this.offers = this.answers = 0;
    if (!this.running) return;
    this.sendMuted();
    if (same && this.call?.connected && welcome.state.transport === "webrtc") return;
    await this.#connect();
  }

  /** The server gave the media connection up: it heard nothing. @param {import("./protocol.js").CallState["transport"]} transport */
  told(transport) {
    if (transport === "none" && this.call?.connected) this.call.giveUp();
  }

  /** Over the path that is chosen now. */
  async reconnect() {
    await this.#connect();
  }

  /** @param {string} sdp */
  async answered(sdp) {
    this.answers += 1;
    if (this.answers !== this.offers || !this.call) return; // the answer to an offer that has been given up
    await this.call.answered(sdp).catch((error) => this.#refusedAnswer(error));
  }

  /** The server would not take the offer. */
  offerRefused() {
    this.answers += 1;
    if (this.call) this.#lost("unreachable");
  }

  /** @param {ArrayBuffer} data */
  chunk(data) {
    this.chunks?.take(data);
  }

  /** Mutes here first, so that nothing leaves, then on the server. */
  sendMuted() {
    const { micOff, cameraOff, hasMicrophone, hasCamera } = this.store.value;
    for (const track of this.devices.stream?.getTracks() ?? []) track.enabled = track.kind === "audio" ? !micOff : !cameraOff;
    if (this.chunks) this.chunks.picture.muted = cameraOff;
    this.socket.send({ type: "set_muted", audio: micOff && hasMicrophone, video: cameraOff && hasCamera });
  }

  /** @param {boolean} on */
  monitor(on) {
    this.surfaces.remote.muted = !on;
    this.chunks?.sound.monitor(on);
  }

  /** @param {string} id "" for the default one */
  async speaker(id) {
    const contexts = /** @type {any[]} */ ([this.surfaces.remote, this.chunks?.sound.playback]);
    for (const each of contexts) await each?.setSinkId?.(id).catch(() => this.hooks.notice("speaker", "That speaker cannot be used. The default one is.", "warning"));
  }

  async #connect() {
    const stream = this.devices.stream;
    if (!stream || this.socket.socket?.readyState !== WebSocket.OPEN) return; // `welcomed` comes back here
    this.#dropPaths();
    if (this.hooks.onlyChunks() || this.store.value.fellBack) await this.#startChunks(stream);
    else await this.#startCall(stream);
    this.sendMuted();
  }

  /** @param {MediaStream} stream */
  async #startCall(stream) {
    const again = this.store.value.phase === "live";
    this.store.set({ path: "webrtc", pathState: again ? "recovering" : "connecting" });
    const call = new Call(this.store.value.welcome?.ice_servers ?? [], {
      send: (message) => this.socket.send(message),
      onStream: (received) => this.#show(received),
      onConnected: () => this.#connected(),
      onLost: (why) => this.#lost(why),
    }, again ? CONNECT_AGAIN_MS : CONNECT_MS);
    this.call = call;
    this.offers += 1;
    this.figures.ofCall(call, this.surfaces.remote);
    await call.start(stream);
  }

  /** @param {MediaStream} stream */
  async #startChunks(stream) {
    this.store.set({ path: "chunks", pathState: "connecting" });
    const { camera, screen } = this.surfaces;
    this.chunks = new Chunks(this.socket, camera, screen, () => this.#chunksConnected());
    this.chunks.sound.monitor(this.store.value.monitor);
    this.figures.ofChunks(this.chunks, () => this.socket.rttMs);
    await this.chunks.start(stream);
  }

  #chunksConnected() {
    this.store.set({ showing: true });
    this.#connected();
  }

  #connected() {
    this.failures = 0;
    this.store.set({ phase: "live", pathState: "connected" });
  }

  /** @param {MediaStream} received */
  #show(received) {
    const { remote } = this.surfaces;
    if (remote.srcObject !== received) remote.srcObject = received;
    remote.onplaying = () => this.store.set({ showing: true });
    remote.play().catch((error) => {
      if (error.name === "NotAllowedError") this.hooks.unblock();
    });
  }

  /** @param {"unreachable" | "dropped"} why */
  #lost(why) {
    this.call?.close();
    this.call = null;
    if (!this.running) return;
    this.store.set({ pathState: "recovering", showing: false });
    if (why === "unreachable") this.failures += 1;
    const giveUp = this.store.value.phase !== "live" || this.failures >= RETRIES_BEFORE_CHUNKS;
    if (why === "unreachable" && giveUp) this.#fallBack();
    void this.#connect();
  }

  #fallBack() {
    this.store.set({ fellBack: true });
    this.hooks.notice("fell_back", "This network lets no WebRTC through, so the call runs over the WebSocket: the picture is smaller and the delay longer.", "warning");
  }

  /** @param {Error} error */
  #refusedAnswer(error) {
    this.hooks.notice("answer", `This browser cannot use the server's answer (${error.name}).`, "warning");
    this.#lost("unreachable");
  }

  /** ICE takes many seconds to see a dead server; a connection that brings nothing for 5 s is given up. @param {import("./stats.js").Figures} now */
  #took(now) {
    this.store.set({ figures: now });
    this.silentS = now.kbpsIn > 0 || !this.call?.connected ? 0 : this.silentS + 1;
    if (this.silentS >= SILENT_S) this.call?.giveUp();
  }

  /** A device came, went or was swapped while the call runs. */
  async #devicesChanged() {
    const stream = this.devices.stream;
    if (!this.running || !stream) return;
    this.sendMuted();
    if (this.chunks) return this.#connect();
    for (const track of stream.getTracks()) {
      if (!(await this.call?.replace(track))) return this.#connect(); // a kind that was not in the offer
    }
  }

  #dropPaths() {
    this.call?.close();
    this.chunks?.close();
    this.call = null;
    this.chunks = null;
    this.silentS = 0;
    this.figures.nothing();
  }
}
