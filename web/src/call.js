// @ts-check
/** One RTCPeerConnection from offer to close. A lost one is not mended: `live.js` makes the next on the same session. */

/**
 * @typedef {{
 *   send: (message: import("./protocol.js").ClientMessage) => void,
 *   onStream: (stream: MediaStream) => void,
 *   onConnected: () => void,
 *   onLost: (why: "unreachable" | "dropped") => void,
 * }} CallHooks `unreachable`: never connected; `dropped`: it was connected before
 */

export const CONNECT_MS = 6000;
/** Once a call has worked, the next try begins earlier: what a TURN client sends again comes ever more seldom (RFC 8489 §6.2.1). */
export const CONNECT_AGAIN_MS = 4000;
const GRACE_MS = 2500;
const VIDEO_BPS_MAX = 2_500_000;

export class Call {
  /** @param {readonly import("./protocol.js").IceServer[]} iceServers @param {CallHooks} hooks @param {number} connectMs */
  constructor(iceServers, hooks, connectMs = CONNECT_MS) {
    this.hooks = hooks;
    this.connectMs = connectMs;
    this.connected = false;
    this.closed = false;
    this.timer = 0;
    this.offered = false;
    /** @type {RTCIceCandidate[]} */
    this.early = [];
    this.received = new MediaStream(); // both tracks in one stream: the browser keeps lip-sync only then
    this.peer = new RTCPeerConnection({ iceServers: iceServers.map(iceServer), bundlePolicy: "max-bundle" });
    this.peer.ontrack = (event) => this.#take(event);
    this.peer.onicecandidate = (event) => this.#trickle(event.candidate);
    this.peer.onconnectionstatechange = () => this.#moved();
  }

  /** @param {MediaStream} stream */
  async start(stream) {
    for (const track of stream.getTracks()) this.#add(track, stream);
    const offer = await this.peer.createOffer();
    if (this.closed) return;
    this.timer = setTimeout(() => this.#lose(), this.connectMs);
    await this.peer.setLocalDescription(offer);
    this.hooks.send({ type: "offer", sdp: this.peer.localDescription?.sdp ?? offer.sdp ?? "" });
    this.offered = true;
    for (const candidate of this.early) this.#trickle(candidate);
  }

  /** @param {string} sdp */
  async answered(sdp) {
    if (this.closed || this.peer.signalingState !== "have-local-offer") return;
    await this.peer.setRemoteDescription({ type: "answer", sdp });
    for (const sender of this.peer.getSenders()) await limit(sender);
  }

  /** Swaps the sent track without a new offer; false when none of its kind is being sent. @param {MediaStreamTrack} track */
  async replace(track) {
    const sender = this.peer.getSenders().find((each) => each.track?.kind === track.kind);
    if (!sender) return false;
    await sender.replaceTrack(track);
    return true;
  }

  /** It counts as lost from now on. */
  giveUp() {
    this.#lose();
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.peer.close();
  }

  /** @param {MediaStreamTrack} track @param {MediaStream} stream */
  #add(track, stream) {
    track.contentHint = track.kind === "video" ? "motion" : "speech";
    this.peer.addTrack(track, stream);
  }

  /** @param {RTCTrackEvent} event */
  #take(event) {
    if ("jitterBufferTarget" in event.receiver) event.receiver.jitterBufferTarget = 0;
    this.received.addTrack(event.track);
    this.hooks.onStream(this.received);
  }

  /** @param {RTCIceCandidate | null} candidate null: there are no more */
  #trickle(candidate) {
    if (this.closed) return;
    if (!this.offered && candidate) {
      this.early.push(candidate);
      return;
    }
    this.hooks.send({
      type: "candidate", candidate: candidate?.candidate ?? "",
      sdp_mid: candidate?.sdpMid ?? null, sdp_m_line_index: candidate?.sdpMLineIndex ?? null,
    });
  }

  #moved() {
    if (this.closed) return;
    const state = this.peer.connectionState;
    if (state === "connected") this.#up();
    if (state === "failed") this.#lose();
    if (state === "disconnected") this.#wait();
  }

  #up() {
    clearTimeout(this.timer);
    if (this.connected) return;
    this.connected = true;
    this.hooks.onConnected();
  }

  #wait() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#lose(), GRACE_MS);
  }

  #lose() {
    if (this.closed) return;
    this.close();
    this.hooks.onLost(this.connected ? "dropped" : "unreachable");
  }
}

/** @param {import("./protocol.js").IceServer} server @returns {RTCIceServer} */
function iceServer(server) {
  const entry = { urls: [...server.urls] };
  if (!server.username) return entry;
  return { ...entry, username: server.username, credential: server.credential ?? "" };
}

/** @param {RTCRtpSender} sender */
async function limit(sender) {
  if (sender.track?.kind !== "video") return;
  const parameters = sender.getParameters();
  const first = parameters.encodings[0];
  if (!first) return;
  first.maxBitrate = VIDEO_BPS_MAX;
  parameters.degradationPreference = "maintain-framerate";
  await sender.setParameters(parameters).catch(() => {}); // a browser may refuse; its own ceiling then holds
}
