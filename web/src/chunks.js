// @ts-check
/** The media path over the signalling socket, for networks that let no WebRTC through. `live.js` starts it when ICE fails. */

import { SOUND, unpackChunk } from "./frames.js";
import { ChunkPicture } from "./chunk_picture.js";
import { ChunkSound } from "./chunk_sound.js";

export class Chunks {
  /**
   * @param {import("./socket.js").SignalSocket} socket
   * @param {HTMLVideoElement} camera @param {HTMLCanvasElement} screen
   * @param {() => void} onFirst called at the first returned chunk
   */
  constructor(socket, camera, screen, onFirst) {
    this.socket = socket;
    this.onFirst = onFirst;
    this.received = 0;
    this.bytesIn = 0;
    this.bytesOut = 0;
    const send = (/** @type {ArrayBuffer} */ chunk, /** @type {number} */ most) => {
      const sent = socket.sendChunk(chunk, most);
      if (sent) this.bytesOut += chunk.byteLength;
      return sent;
    };
    this.sound = new ChunkSound(send);
    this.picture = new ChunkPicture(camera, screen, send);
    this.picture.soundHeadUs = () => this.sound.head.headUs;
  }

  /** @param {MediaStream} stream */
  async start(stream) {
    this.socket.send({ type: "start_chunks" });
    if (stream.getVideoTracks().length) this.picture.start();
    await this.sound.start(stream.getAudioTracks()[0] ?? null);
  }

  /** @param {ArrayBuffer} data */
  take(data) {
    const chunk = unpackChunk(data);
    if (!chunk) return;
    this.bytesIn += data.byteLength;
    this.received += 1;
    if (this.received === 1) this.onFirst();
    if (chunk.kind === SOUND) this.sound.play(chunk.payload, chunk.captureUs);
    else void this.picture.show(chunk.payload, chunk.captureUs);
  }

  close() {
    this.sound.close();
    this.picture.close();
  }
}
