(bits) => {
  /**
   * What the bench measures inside the page, apart from what the page says of itself: which numbered picture is shown when,
   * before and after, and how loud the microphone and the speaker are when. All times in ms of the browser's one clock.
   */
  const seen = { camera: [], screen: [] };
  const heard = { microphone: [], speaker: [] };

  /** The number in the corner: each column of cells is a Gray-coded bit, the last one their parity. */
  const pad = new OffscreenCanvas(bits * 4, 4);
  const pen = pad.getContext("2d", { willReadFrequently: true });
  function number(video) {
    const cell = video.videoWidth * (24 / 512);
    pen.drawImage(video, 0, 0, bits * cell, cell, 0, 0, bits * 4, 4);
    const { data } = pen.getImageData(0, 0, bits * 4, 4);
    const levels = [];
    for (let bit = 0; bit < bits; bit += 1) {
      const at = (y, x) => data[4 * (y * bits * 4 + bit * 4 + x) + 1];
      levels.push((at(1, 1) + at(1, 2) + at(2, 1) + at(2, 2)) / 4);
    }
    return levels;
  }

  function watch(selector, into) {
    const video = document.querySelector(selector);
    const look = (now, told) => {
      video.requestVideoFrameCallback(look);
      into.push([told.captureTime ?? null, told.expectedDisplayTime, told.rtpTimestamp ?? null, number(video)]);
    };
    video.requestVideoFrameCallback(look);
  }

  /** Loudness every 2.5 ms, stamped by the browser's audio thread: when captured, and when handed to the speaker. */
  async function listen(track, into) {
    const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 200 }).readable.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const samples = new Float32Array(value.numberOfFrames);
      value.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
      const step = value.sampleRate / 400;
      const levels = [];
      for (let from = 0; from + step <= samples.length; from += step) {
        let power = 0;
        for (let at = from; at < from + step; at += 1) power += samples[at] ** 2;
        levels.push(Math.sqrt(power / step));
      }
      into.push([value.timestamp / 1000, ...levels]);
      value.close();
    }
  }

  const remote = document.querySelector("#remote-video").srcObject;
  const local = document.querySelector("#local-video").srcObject;
  watch("#local-video", seen.camera);
  watch("#remote-video", seen.screen);
  void listen(local.getAudioTracks()[0], heard.microphone);
  void listen(remote.getAudioTracks()[0], heard.speaker);
  window.glassProbe = { ...seen, ...heard };
}
