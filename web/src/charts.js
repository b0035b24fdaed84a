// @ts-check
/** The strip of live figures: a minute of each as a line, the figure of now, and what it means in words. */

import { find, make, say } from "./dom.js";

/**
 * @typedef {import("./stats.js").Figures} Figures
 * @typedef {{ id: string, title: string, unit: string, floor: number, digits: number,
 *   value: (now: Figures) => number | null, words: (now: Figures) => string, warn: (value: number) => boolean,
 *   measured?: (now: Figures) => boolean, more?: (now: Figures) => string }} Chart `measured` where a figure may be an
 *   estimate, which is said beside it; `more` is told where the pointer rests
 */

const KEPT = 60;
const round = (/** @type {number | null} */ value) => (value === null ? "?" : String(Math.round(value)));

/** @type {readonly Chart[]} */
export const CHARTS = [
  { id: "glass", title: "Picture delay", unit: "ms", floor: 250, digits: 0, value: (now) => now.glassMs, warn: (value) => value > 250,
    measured: (now) => now.glassMeasured, words: (now) => delayWords(now.glassP95Ms),
    more: (now) => `From your camera to this screen; inside the server ${round(now.serverVideoMs)} ms` },
  { id: "mouth", title: "Voice delay", unit: "ms", floor: 250, digits: 0, value: (now) => now.mouthMs, warn: (value) => value > 250,
    measured: (now) => now.mouthMeasured, words: (now) => delayWords(now.mouthP95Ms),
    more: (now) => `From your lips to your ear; inside the server ${round(now.serverAudioMs)} ms` },
  { id: "fps", title: "Frames", unit: "per s", floor: 30, digits: 0, value: (now) => now.fps, warn: (value) => value < 15,
    words: (now) => `Shown here · server sends ${round(now.fpsServer)}` },
  { id: "kbps", title: "Bitrate", unit: "kbit/s", floor: 1000, digits: 0, value: (now) => now.kbpsIn, warn: () => false,
    words: (now) => `Coming back · ${round(now.kbpsOut)} going out` },
  { id: "drops", title: "Drops", unit: "per s", floor: 5, digits: 0, value: (now) => now.drops, warn: (value) => value > 5,
    words: (now) => "Left out to stay live" },
  { id: "skew", title: "Lip sync", unit: "ms", floor: 60, digits: 0, value: (now) => now.skewMs, warn: (value) => Math.abs(value) > 80, words: skewWords },
];

/** @param {number | null} p95Ms null: nothing was measured */
function delayWords(p95Ms) {
  return p95Ms === null ? "Estimated" : `Measured, 95 % in ${round(p95Ms)} ms`;
}

/** Positive skew: the picture is ahead, as `mirage_rtc/lip_sync.py` counts it. @param {Figures} now */
function skewWords(now) {
  if (now.skewMs === null) return "Sound against picture";
  if (Math.abs(now.skewMs) <= 40) return "Sound and picture are together";
  return now.skewMs > 0 ? "The picture is ahead" : "The sound is ahead";
}

/** @param {(number | null)[]} values @param {number} floor the least top of the scale @returns {[number, number]} */
export function scale(values, floor) {
  const known = values.filter((each) => each !== null);
  return [Math.min(0, ...known), Math.max(floor, ...known) * 1.08];
}

export class Charts {
  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.box = find("charts", HTMLElement);
    this.rows = CHARTS.map((chart) => this.#row(chart));
    this.last = /** @type {Figures | null} */ (null);
    this.clear();
    addEventListener("resize", () => this.#drawAll());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#drawAll());
    new MutationObserver(() => this.#drawAll()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    store.watch(({ figures }) => this.#take(figures));
  }

  clear() {
    for (const row of this.rows) {
      row.values = [];
      row.cell.dataset.tone = "";
      row.output.replaceChildren("–");
      say(row.words, "Shown when you are live");
    }
    this.#drawAll();
  }

  /** @param {Chart} chart */
  #row(chart) {
    const output = make("output");
    const words = make("p");
    const canvas = make("canvas", { ariaHidden: "true" });
    const cell = make("div", { className: "meter" }, make("h3", { textContent: chart.title }), output, canvas, words);
    cell.dataset.figure = chart.id;
    output.setAttribute("aria-live", "off"); // once a second is too much to be read out
    this.box.append(cell);
    return { chart, cell, output, words, canvas, values: /** @type {(number | null)[]} */ ([]) };
  }

  /** @param {Figures | null} now */
  #take(now) {
    if (now === this.last) return;
    this.last = now;
    if (!now) return this.clear();
    for (const { chart, cell, output, words, canvas, values } of this.rows) {
      const value = chart.value(now);
      values.push(value);
      if (values.length > KEPT) values.shift();
      const estimated = chart.measured?.(now) === false;
      const unit = make("i", { textContent: estimated ? `${chart.unit} est.` : chart.unit });
      output.replaceChildren(value === null ? "–" : value.toFixed(chart.digits), ...(value === null ? [] : [" ", unit]));
      cell.dataset.tone = value !== null && chart.warn(value) ? "warn" : "";
      const said = value === null ? "Not known yet" : chart.words(now);
      say(words, said);
      words.title = value === null ? said : [said, chart.more?.(now)].filter(Boolean).join(". ");
      draw(canvas, values, chart.floor);
    }
  }

  #drawAll() {
    for (const { canvas, values, chart } of this.rows) draw(canvas, values, chart.floor);
  }
}

/** @param {HTMLCanvasElement} canvas @param {(number | null)[]} values @param {number} floor */
function draw(canvas, values, floor) {
  const density = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  Object.assign(canvas, { width: width * density, height: height * density });
  const pen = canvas.getContext("2d");
  if (!pen || !width) return;
  pen.scale(density, density);
  const [low, high] = scale(values, floor);
  const y = (/** @type {number} */ value) => height - 2 - ((value - low) / (high - low)) * (height - 5);
  pen.strokeStyle = getComputedStyle(canvas).color; // the trace's colour lives in the style sheet
  pen.globalAlpha = 0.3;
  line(pen, [[0, y(0)], [width, y(0)]]);
  pen.globalAlpha = 1;
  pen.lineWidth = 1.75;
  pen.lineJoin = "round";
  const step = width / (KEPT - 1);
  const points = values.flatMap((value, at) => (value === null ? [] : [[width - (values.length - 1 - at) * step, y(value)]]));
  line(pen, /** @type {[number, number][]} */ (points));
}

/** @param {CanvasRenderingContext2D} pen @param {[number, number][]} points */
function line(pen, points) {
  pen.beginPath();
  points.forEach(([x, y], at) => (at ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.stroke();
}
