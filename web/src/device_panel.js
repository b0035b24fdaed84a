// @ts-check
/** The device pickers, the microphone's level, the headphones switch and the choice of media path. */

import { LevelMeter } from "./devices.js";
import { find, make } from "./dom.js";

/** @typedef {{ changed: (kind: import("./devices.js").Kind) => void, speaker: (id: string) => void, path: () => void }} DeviceHooks */

const FALLBACK_NAME = { videoinput: "Camera", audioinput: "Microphone", audiooutput: "Speaker" };
const HEADPHONES = { on: "No echo can come back, so your voice is taken as it is.", off: "Echo and noise are taken out of your voice." };

export class DevicePanel {
  /** @param {DeviceHooks} hooks */
  constructor(hooks) {
    this.camera = find("camera-select", HTMLSelectElement);
    this.microphone = find("mic-select", HTMLSelectElement);
    this.speaker = find("speaker-select", HTMLSelectElement);
    this.headphones = find("headphones", HTMLInputElement);
    this.path = find("transport-select", HTMLSelectElement);
    this.level = find("mic-level", HTMLMeterElement);
    /** @type {LevelMeter | null} */
    this.meter = null;
    this.heard = /** @type {MediaStreamTrack | null} */ (null);
    this.camera.onchange = () => hooks.changed("video");
    this.microphone.onchange = () => hooks.changed("audio");
    this.speaker.onchange = () => hooks.speaker(this.speaker.value);
    this.path.onchange = () => hooks.path();
    this.headphones.onchange = () => {
      this.#explain();
      hooks.changed("audio");
    };
    this.#explain();
    find("speaker-field", HTMLLabelElement).hidden = !("setSinkId" in HTMLMediaElement.prototype);
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.refresh());
    setInterval(() => this.#show(), 80);
    void this.refresh();
  }

  /** @returns {import("./devices.js").Choice} */
  choice() {
    return { camera: this.camera.value, microphone: this.microphone.value, headphones: this.headphones.checked };
  }

  /** How long the sound card takes; null where the browser does not say. */
  speakerMs() {
    const seconds = this.meter?.context.outputLatency; // 0 until the context runs
    return seconds ? seconds * 1000 : null;
  }

  /** Names are only known once a device was allowed. */
  async refresh() {
    const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
    this.#fill(this.camera, devices, "videoinput");
    this.#fill(this.microphone, devices, "audioinput");
    this.#fill(this.speaker, devices, "audiooutput");
  }

  /** @param {MediaStreamTrack | null} track */
  listen(track) {
    if (track === this.heard) return;
    this.heard = track;
    if (track && !this.meter) this.meter = new LevelMeter(); // an AudioContext before a press would be refused
    this.meter?.listen(track);
  }

  /** @param {HTMLSelectElement} select @param {MediaDeviceInfo[]} devices @param {MediaDeviceKind} kind */
  #fill(select, devices, kind) {
    const before = select.value;
    const named = devices.filter((each) => each.kind === kind && each.deviceId && each.deviceId !== "default");
    const options = named.map((each, at) => make("option", { value: each.deviceId, textContent: each.label || `${FALLBACK_NAME[kind]} ${at + 1}` }));
    select.replaceChildren(make("option", { value: "", textContent: `Default ${FALLBACK_NAME[kind].toLowerCase()}` }), ...options);
    select.value = named.some((each) => each.deviceId === before) ? before : "";
  }

  #show() {
    const level = this.meter?.level() ?? 0;
    if (Math.abs(level - this.level.value) > 0.01) this.level.value = level;
  }

  #explain() {
    find("headphones-words", HTMLElement).textContent = HEADPHONES[this.headphones.checked ? "on" : "off"];
  }
}
