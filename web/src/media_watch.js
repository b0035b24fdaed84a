// @ts-check
/** Notes when each returned picture and sound is presented, for `delays.js`. One for each call; owned by `figure_taker.js`. */

import { Delays } from "./delays.js";

const POLL_MS = 200;
/** A screen shows a delivered picture at its next refresh; only for browsers that do not say when. */
const SCREEN_MS = 16;

export class MediaWatch {
  /** @param {RTCPeerConnection} peer @param {HTMLVideoElement} screen @param {() => boolean} covered true while stand-ins for the caller are shown */
  constructor(peer, screen, covered) {
    this.peer = peer;
    this.screen = screen;
    this.covered = covered;
    this.video = new Delays(90_000);
    this.audio = new Delays(48_000);
    this.framesTell = false;
    this.request = 0;
    this.timer = setInterval(() => this.#poll(), POLL_MS);
    this.#look();
  }

  /** @param {import("./protocol.js").Stats} stats @param {number} offsetMs */
  take(stats, offsetMs) {
    this.video.take(stats.video_mark, wallMs(performance.now()), offsetMs);
    this.audio.take(stats.audio_mark, wallMs(performance.now()), offsetMs);
  }

  close() {
    clearInterval(this.timer);
    if ("cancelVideoFrameCallback" in this.screen) this.screen.cancelVideoFrameCallback(this.request);
  }

  #look() {
    if (!("requestVideoFrameCallback" in this.screen)) return;
    this.request = this.screen.requestVideoFrameCallback((_, frame) => {
      this.framesTell ||= frame.rtpTimestamp !== undefined;
      if (!this.covered()) this.video.note(frame.rtpTimestamp, wallMs(frame.expectedDisplayTime));
      this.#look();
    });
  }

  /** What is being played now, and shown where a frame does not tell its timestamp (Firefox). */
  #poll() {
    for (const receiver of this.peer.getReceivers()) {
      const isVideo = receiver.track.kind === "video";
      if (isVideo && (this.framesTell || this.covered())) continue;
      for (const source of receiver.getSynchronizationSources?.() ?? []) {
        if (isVideo) this.video.note(source.rtpTimestamp, wallMs(source.timestamp) + SCREEN_MS);
        else this.audio.note(source.rtpTimestamp, wallMs(source.timestamp));
      }
    }
  }
}

/** A time of the page's clock as Unix ms; browsers differ in which of the two they give. @param {number} ms */
function wallMs(ms) {
  return ms < performance.timeOrigin / 2 ? performance.timeOrigin + ms : ms;
}
