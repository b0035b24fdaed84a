// @ts-check
/** The signalling socket: one session, reconnected with back-off until the server says that it is over. */

import { backoffMs } from "./backoff.js";
import { bestClock } from "./delays.js";

/**
 * @typedef {import("./protocol.js").ServerMessage} ServerMessage
 * @typedef {import("./protocol.js").ClientMessage} ClientMessage
 * @typedef {{
 *   onState: (state: "connecting" | "up" | "down", retryInMs: number | null) => void,
 *   onMessage: (message: ServerMessage) => void,
 *   onChunk: (data: ArrayBuffer) => void,
 *   onOver: (code: string, sentence: string) => void,
 *   stillValid: () => Promise<{ code: string, sentence: string } | null>,
 * }} SocketHooks `stillValid` tells why the session is refused for good, or null to go on trying
 */

const PING_MS = 1000;
/** Pings without a word from the server after which its network counts as gone; counted, so that a busy page blames nobody. */
const UNANSWERED = 3;
const OPEN_MS = 2500;
/** For so long after the last word a new try is made each second: most networks that go come back soon. */
const AWAY_MS = 60_000;
const AWAY_RETRY_MS = 1000;
const PONGS = 10;
/** After these the server wants no reconnect (signaling/protocol.py, Closing). */
const FINAL = new Set(["replaced", "bye"]);

export class SignalSocket {
  /** @param {string} url @param {() => string} token @param {SocketHooks} hooks */
  constructor(url, token, hooks) {
    this.url = url;
    this.token = token;
    this.hooks = hooks;
    /** @type {WebSocket | null} */
    this.socket = null;
    /** @type {{ code: string, sentence: string } | null} */
    this.parting = null;
    this.attempt = 0;
    this.stopped = false;
    this.rttMs = /** @type {number | null} */ (null);
    /** @type {import("./delays.js").ServerClock[]} */
    this.pongs = [];
    this.heardMs = performance.now();
    this.unanswered = 0;
    this.asking = false;
    this.retry = 0;
    this.pinger = setInterval(() => this.#ping(), PING_MS);
    addEventListener("online", () => this.#hurry());
  }

  connect() {
    if (this.stopped || this.socket) return;
    this.hooks.onState("connecting", null);
    const socket = new WebSocket(this.url, ["mirage.v1", `bearer.${this.token()}`]);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    let opened = false;
    this.unanswered = 0;
    const late = setTimeout(() => this.#drop(socket, false), OPEN_MS); // a network that is away refuses nothing
    socket.onopen = () => {
      opened = true;
      clearTimeout(late);
      this.send({ type: "hello", version: 1 });
    };
    socket.onmessage = (event) => {
      this.heardMs = performance.now();
      this.unanswered = 0;
      if (typeof event.data !== "string") return this.hooks.onChunk(event.data);
      const message = /** @type {ServerMessage} */ (JSON.parse(event.data));
      if (message.type === "closing") this.parting = message;
      this.#take(message);
    };
    socket.onclose = () => {
      clearTimeout(late);
      if (this.socket === socket) this.#down(opened);
    };
  }

  /** Dropped when the socket is down: the state is sent again after `welcome`. @param {ClientMessage} message */
  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** How the server's clock stands to ours; null before the first pong. */
  clock() {
    return bestClock(this.pongs);
  }

  /** False when the socket is down or has too much waiting. @param {ArrayBuffer} chunk @param {number} mostWaitingBytes */
  sendChunk(chunk, mostWaitingBytes) {
    if (this.socket?.readyState !== WebSocket.OPEN || this.socket.bufferedAmount > mostWaitingBytes) return false;
    this.socket.send(chunk);
    return true;
  }

  stop() {
    this.stopped = true;
    clearInterval(this.pinger);
    clearTimeout(this.retry);
    this.socket?.close();
    this.socket = null;
  }

  /** @param {ServerMessage} message */
  #take(message) {
    if (message.type === "pong") return this.#pong(message);
    if (message.type === "welcome") {
      this.attempt = 0;
      this.parting = null;
      this.hooks.onState("up", null);
    }
    this.hooks.onMessage(message);
  }

  /** @param {import("./protocol.js").Pong} pong */
  #pong({ sent_ms, server_ms }) {
    this.rttMs = performance.now() - sent_ms;
    const aheadMs = server_ms - (performance.timeOrigin + sent_ms + this.rttMs / 2);
    this.pongs = [...this.pongs, { aheadMs, rttMs: this.rttMs }].slice(-PONGS);
  }

  /** @param {boolean} opened */
  async #down(opened) {
    this.socket = null;
    this.rttMs = null;
    this.pongs = [];
    if (this.stopped) return;
    if (this.parting && FINAL.has(this.parting.code)) return this.#over(this.parting);
    const away = performance.now() - this.heardMs < AWAY_MS;
    const wait = Math.min(backoffMs(this.attempt), away ? AWAY_RETRY_MS : Infinity);
    this.attempt += 1;
    this.hooks.onState("down", wait);
    this.retry = setTimeout(() => this.connect(), wait);
    if (opened || this.asking) return;
    this.asking = true;
    const refused = await this.hooks.stillValid(); // a refused upgrade tells the page no reason
    this.asking = false;
    if (refused && !this.stopped) this.#over(this.parting ?? refused); // the farewell knows more than a 401
  }

  /** @param {{ code: string, sentence: string }} why */
  #over(why) {
    this.stop();
    this.hooks.onOver(why.code, why.sentence);
  }

  #ping() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    if (this.unanswered >= UNANSWERED) return this.#drop(this.socket, true);
    this.unanswered += 1;
    this.send({ type: "ping", sent_ms: performance.now() });
  }

  /** @param {WebSocket} dead @param {boolean} opened */
  #drop(dead, opened) {
    if (this.socket !== dead) return;
    void this.#down(opened);
    dead.close(); // a dead network answers no close; `#down` has already moved on
  }

  #hurry() {
    if (this.stopped || this.socket) return;
    clearTimeout(this.retry);
    this.attempt = 0;
    this.connect();
  }
}
