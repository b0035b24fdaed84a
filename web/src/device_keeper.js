// @ts-check
/** Holds the camera and microphone of the call: opens them, hears when one is pulled out, takes one that appears. Owned by `live.js`. */

import { openDevices, openOne } from "./devices.js";

/** @typedef {import("./devices.js").Kind} Kind */

const GONE = {
  video: "The camera was unplugged or switched off. You are covered; plug it in again, or pick another one under Devices.",
  audio: "The microphone was unplugged or switched off. Nobody hears you; plug it in again, or pick another one under Devices.",
};
const BACK = { video: "A camera is there and in use.", audio: "A microphone is there and in use." };
const SWAPPED = { video: "The camera was lost; another one has taken over.", audio: "The microphone was lost; another one has taken over." };

export class DeviceKeeper {
  /**
   * @param {import("./store.js").Store} store @param {HTMLVideoElement} preview
   * @param {Pick<import("./live.js").LiveHooks, "notice" | "choice">} hooks @param {() => void} onChange
   */
  constructor(store, preview, hooks, onChange) {
    this.store = store;
    this.preview = preview;
    this.hooks = hooks;
    this.onChange = onChange;
    /** @type {MediaStream | null} */
    this.stream = null;
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.#fillGaps());
  }

  /** The stream of what could be opened, or null with a notice for each reason. @param {import("./devices.js").Choice} choice */
  async open(choice) {
    if (this.stream?.active) return this.stream;
    const { stream, problems } = await openDevices(choice);
    for (const { code, kind, sentence } of problems) this.hooks.notice(`${kind}_${code}`, sentence, stream ? "warning" : "error");
    this.#hold(stream);
    return stream;
  }

  /** Takes the chosen device of one kind instead of the present one. @param {Kind} kind */
  async reopen(kind) {
    if (!this.stream) return;
    const { track, problem } = await openOne(kind, this.hooks.choice());
    if (problem) return this.hooks.notice(`${kind}_${problem.code}`, problem.sentence, "warning");
    if (track) this.#put(track);
  }

  /** How long the microphone gathers sound before it hands it on; null where the browser does not say. */
  microphoneMs() {
    const settings = /** @type {{ latency?: number }} */ (this.stream?.getAudioTracks()[0]?.getSettings() ?? {});
    return settings.latency === undefined ? null : settings.latency * 1000;
  }

  close() {
    for (const track of this.stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    this.#hold(null);
  }

  /** @param {MediaStream | null} stream */
  #hold(stream) {
    this.stream = stream;
    for (const track of stream?.getTracks() ?? []) this.#watch(track);
    this.#tell();
  }

  /** @param {MediaStreamTrack} track */
  #watch(track) {
    track.onended = () => void this.#ended(track);
  }

  /** @param {MediaStreamTrack} track */
  async #ended(track) {
    const kind = /** @type {Kind} */ (track.kind);
    this.stream?.removeTrack(track);
    this.#tell();
    const other = await openOne(kind, { camera: "", microphone: "", headphones: this.hooks.choice().headphones });
    if (other.track && this.stream) {
      this.hooks.notice(`${kind}_swapped`, SWAPPED[kind], "info");
      return this.#put(other.track);
    }
    this.hooks.notice(`${kind}_gone`, GONE[kind], "warning");
    this.onChange();
  }

  /** @param {MediaStreamTrack} track */
  #put(track) {
    if (!this.stream) return track.stop();
    for (const old of this.stream.getTracks().filter((each) => each.kind === track.kind)) {
      old.onended = null;
      old.stop();
      this.stream.removeTrack(old);
    }
    this.stream.addTrack(track);
    this.#watch(track);
    this.#tell();
    this.onChange();
  }

  /** A camera or microphone that appears is used when the call lacks one. */
  async #fillGaps() {
    if (!this.stream) return;
    const present = await navigator.mediaDevices.enumerateDevices();
    for (const kind of /** @type {Kind[]} */ (["video", "audio"])) {
      const lacking = !this.stream?.getTracks().some((each) => each.kind === kind);
      if (!lacking || !present.some((each) => each.kind === `${kind}input`)) continue;
      const { track } = await openOne(kind, { ...this.hooks.choice(), camera: "", microphone: "" });
      if (!track) continue; // busy elsewhere: the next change of devices asks again
      this.hooks.notice(`${kind}_gone`, BACK[kind], "info");
      this.#put(track);
    }
  }

  #tell() {
    if (this.preview.srcObject !== this.stream) this.preview.srcObject = this.stream;
    if (this.stream) this.preview.play().catch(() => {}); // muted and our own: a block only means that no preview moves
    this.store.set({
      hasCamera: (this.stream?.getVideoTracks().length ?? 0) > 0,
      hasMicrophone: (this.stream?.getAudioTracks().length ?? 0) > 0,
    });
  }
}
