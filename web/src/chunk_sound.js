// @ts-check
/** The sound half of the chunk fallback: microphone to PCM16 chunks, returned PCM16 to the speaker. Owned by `chunks.js`. */

import { CHUNK_SAMPLES, RATE_HZ, SOUND, SampleClock, fromPcm16, packChunk, toPcm16 } from "./frames.js";

/** @typedef {{ headUs: number | null, bufferedMs: number, holes: number, dropped: number }} PlayHead */

const MOST_WAITING_BYTES = 512_000;

export class ChunkSound {
  /** @param {(chunk: ArrayBuffer, mostWaitingBytes: number) => boolean} send */
  constructor(send) {
    this.send = send;
    this.sequence = 0;
    this.clock = new SampleClock(RATE_HZ);
    this.capture = new AudioContext();
    this.playback = new AudioContext({ sampleRate: RATE_HZ }); // the browser resamples to the speaker
    this.gain = this.playback.createGain();
    this.gain.gain.value = 0;
    this.gain.connect(this.playback.destination);
    /** @type {AudioWorkletNode | null} */
    this.player = null;
    /** @type {MediaStreamAudioSourceNode | null} */
    this.source = null;
    /** @type {PlayHead} */
    this.head = { headUs: null, bufferedMs: 0, holes: 0, dropped: 0 };
  }

  /** @param {MediaStreamTrack | null} track */
  async start(track) {
    await Promise.all([this.#startPlayback(), track && this.#startCapture(track)]);
  }

  /** @param {Uint8Array} pcm @param {number} captureUs */
  play(pcm, captureUs) {
    const samples = fromPcm16(pcm);
    this.player?.port.postMessage({ samples, captureUs }, [samples.buffer]);
  }

  /** @param {boolean} on */
  monitor(on) {
    this.gain.gain.setTargetAtTime(on ? 1 : 0, this.playback.currentTime, 0.02);
  }

  /** @param {MediaStreamTrack} track */
  replace(track) {
    const old = this.source;
    if (!old) return;
    const sink = this.sink;
    this.source = this.capture.createMediaStreamSource(new MediaStream([track]));
    if (sink) this.source.connect(sink);
    old.disconnect();
  }

  close() {
    this.source?.disconnect();
    void this.capture.close();
    void this.playback.close();
  }

  async #startPlayback() {
    await this.playback.audioWorklet.addModule(new URL("./playback_worklet.js", import.meta.url));
    this.player = new AudioWorkletNode(this.playback, "mirage-playback", { numberOfInputs: 0, outputChannelCount: [1] });
    this.player.port.onmessage = ({ data }) => {
      this.head = data;
    };
    this.player.connect(this.gain);
    void this.playback.resume();
  }

  /** @param {MediaStreamTrack} track */
  async #startCapture(track) {
    await this.capture.audioWorklet.addModule(new URL("./capture_worklet.js", import.meta.url));
    const processorOptions = { rateHz: RATE_HZ, chunk: CHUNK_SAMPLES };
    this.sink = new AudioWorkletNode(this.capture, "mirage-capture", {
      numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit", processorOptions,
    });
    this.sink.port.onmessage = ({ data }) => this.#post(data);
    this.source = this.capture.createMediaStreamSource(new MediaStream([track]));
    this.source.connect(this.sink);
    void this.capture.resume();
  }

  /** @param {Float32Array} samples */
  #post(samples) {
    const captureUs = this.clock.stamp(samples.length, performance.now());
    const chunk = packChunk(SOUND, this.sequence, captureUs, toPcm16(samples));
    if (this.send(chunk, MOST_WAITING_BYTES)) this.sequence += 1;
  }
}
