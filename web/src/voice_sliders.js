// @ts-check
/** The fine controls of a voice: which slider is which field, in which words, and for which kind of voice. */

/** @typedef {Required<import("./protocol.js").VoiceChoice>} Voice */
/** @typedef {{ pitch: number, formant: number, breath: number, index: number, protect: number, gain: number, gate: number }} Values */

/** The last step of the gate's slider, below the quietest threshold there is, opens it for good. */
export const GATE_OFF = -91;

export const SLIDERS = /** @type {const} */ (["pitch", "formant", "breath", "index", "protect", "gain", "gate"]);
/** Sliders that only one kind of voice has. */
export const ONLY = { breath: "embedded", index: "imported", protect: "imported" };

/** @param {number} value @param {number} digits */
function signed(value, digits = 0) {
  const size = Math.abs(value);
  const shown = digits ? size.toFixed(digits) : String(size);
  return `${value > 0 ? "+" : value < 0 ? "−" : ""}${shown}`;
}

/** @param {Voice} voice @returns {Values} */
export function valuesOf(voice) {
  return {
    pitch: voice.pitch_semitones, formant: voice.formant_ratio, breath: voice.breath, index: voice.index_rate,
    protect: voice.protect, gain: voice.input_gain_db, gate: voice.gate_db ?? GATE_OFF,
  };
}

/** @param {Voice} voice @param {Values} values @param {boolean} denoise @returns {Voice} */
export function withValues(voice, values, denoise) {
  return {
    ...voice, pitch_semitones: values.pitch, formant_ratio: values.formant, breath: values.breath, index_rate: values.index,
    protect: values.protect, input_gain_db: values.gain, gate_db: values.gate <= GATE_OFF ? null : values.gate, denoise,
  };
}

/** What is set at the microphone stays when another voice is chosen. @param {Voice} voice */
export function microphoneOf({ input_gain_db, gate_db, denoise }) {
  return { input_gain_db, gate_db, denoise };
}

/** @param {Voice} voice */
export function fineWords(voice) {
  const off = voice.gate_db === null ? "off" : `below ${signed(voice.gate_db)} dB`;
  return {
    pitch: `${signed(voice.pitch_semitones)} ${Math.abs(voice.pitch_semitones) === 1 ? "semitone" : "semitones"}`,
    formant: `×${voice.formant_ratio.toFixed(2)}`,
    breath: `${Math.round(voice.breath * 100)} %`,
    index: `${Math.round(voice.index_rate * 100)} %`,
    protect: voice.protect >= 0.5 ? "off" : `${Math.round(100 - voice.protect * 200)} %`,
    gain: `${signed(voice.input_gain_db)} dB`,
    gate: off,
  };
}

/** Only what differs from the voice as it is chosen. @param {Voice} voice */
export function changedWords(voice) {
  const words = fineWords(voice);
  return [
    voice.pitch_semitones && words.pitch, voice.formant_ratio !== 1 && words.formant, voice.breath && `breath ${words.breath}`,
    voice.index_rate && `recordings ${words.index}`, voice.input_gain_db && `microphone ${words.gain}`,
    voice.gate_db !== null && `gate ${words.gate}`, voice.denoise && "less noise",
  ].filter(Boolean).join(", ");
}
