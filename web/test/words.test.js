/** The words never promise more cover than the server reports. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { deviceProblem, together } from "../src/devices.js";
import { INITIAL } from "../src/store.js";
import { cardFor, choiceWords, connectionWords, engineWords, stateWords } from "../src/words.js";

const SERVER = {
  identity: "mask:a", voice: { preset: "disguise" }, passthrough_face: false, passthrough_voice: false, muted_audio: false, muted_video: false,
  badge: true, picture: "live", sound: "live", face_engine: "mesh", voice_engine: "world", transport: "webrtc",
};
const live = (server = {}, page = {}) => ({
  ...INITIAL, phase: "live", socket: "up", path: "webrtc", pathState: "connected", hasCamera: true, hasMicrophone: true, showing: true,
  identities: [{ id: "mask:a", kind: "mask", title: "Ash", description: "" }], server: { ...SERVER, ...server }, ...page,
});

test("a swapped picture is named by the face that is worn", () => {
  assert.deepEqual(stateWords(live()), { headline: "You appear as Ash.", detail: "Your real face does not leave this server. Your voice is disguised." });
});

test("every way of being undisguised is said, and then no cover of the face is promised", () => {
  for (const [face, voice, said] of [[true, true, "face and voice"], [true, false, "face is"], [false, true, "voice is"]]) {
    const words = stateWords(live({ passthrough_face: face, passthrough_voice: voice, picture: face ? "passthrough" : "live" }));
    assert.match(words.headline, new RegExp(`Your real ${said}`));
    if (face) assert.doesNotMatch(words.detail, /does not leave/);
    if (voice) assert.doesNotMatch(words.detail, /voice is disguised/);
  }
});

test("with people named passthrough is said to show the others, and nobody where nobody is left as they are", () => {
  const named = (others, voice) => live({
    passthrough_face: true, passthrough_voice: voice, picture: others === "blur" ? "live" : "passthrough",
    mapping: { entries: [{ reference: "portrait:a", wears: "mask:a" }], others },
  });
  assert.equal(stateWords(named("passthrough", false)).headline, "The real faces of all who are not named are being sent.");
  assert.match(stateWords(named("passthrough", true)).headline, /not named, and your real voice, are/);
  assert.doesNotMatch(stateWords(named("passthrough", false)).detail, /does not leave/);
  assert.equal(stateWords(named("blur", false)).headline, "Each appears as you chose.");
  assert.equal(stateWords(named("blur", true)).headline, "Your real voice is being sent.");
});

test("covered and held are told apart, and silence is not called a disguise", () => {
  assert.equal(stateWords(live({ picture: "card" })).headline, "Covered: no face found.");
  const engines = { face_name: "mesh", face_state: "restarting", voice_name: "world", voice_state: "ready", ready: false };
  assert.match(stateWords(live({ picture: "card" }, { engines })).headline, /engine/);
  assert.equal(stateWords(live({ picture: "frozen" })).headline, "Held: the last safe picture.");
  assert.doesNotMatch(stateWords(live({ sound: "silent" })).detail, /voice is disguised/);
});

test("a spent link, another tab, a full server and a lost server each have a card", () => {
  const cards = ["no_link", "refused", "moved", "full", "ended"].map((phase) => cardFor({ ...INITIAL, phase, sentence: "Why." }));
  assert.equal(new Set(cards.map((card) => card?.title)).size, 5);
  assert.ok(cardFor({ ...INITIAL, phase: "ready", socket: "down", retryInMs: 500 }));
  assert.equal(cardFor(live()), null);
  assert.match(connectionWords(live({}, { socket: "down", retryInMs: 1500 })).words, /1\.5 s/);
});

test("a picture that no longer moves is not said to be live", () => {
  const figures = { kbpsIn: 0 };
  assert.equal(stateWords(live({}, { socket: "down", figures })).headline, "Reconnecting.");
  assert.equal(stateWords(live({}, { socket: "down", path: "chunks" })).headline, "Reconnecting.");
  assert.equal(stateWords(live({}, { pathState: "recovering" })).headline, "Reconnecting.");
  assert.equal(stateWords(live({}, { socket: "down", figures: { kbpsIn: 400 } })).headline, "You appear as Ash.");
});

test("an engine that does not run is named with its state", () => {
  const words = engineWords({ face_name: "mesh", face_state: "restarting", voice_name: "world", voice_state: "ready", ready: false }, null);
  assert.equal(words, "Face engine: mesh (restarting) · Voice engine: world");
});

test("a device's failure says what to do, and offers to go on only when something is left", () => {
  assert.match(deviceProblem({ name: "NotReadableError" }, "video").sentence, /another program.*voice alone/);
  assert.equal(together({ name: "NotAllowedError" }, { name: "NotAllowedError" }).length, 1);
  const both = together({ name: "NotReadableError" }, { name: "NotFoundError" });
  assert.equal(both.length, 2);
  for (const { sentence } of both) assert.doesNotMatch(sentence, /alone/);
});

test("an imported voice is named once it speaks, and late is said to be late", () => {
  const voices = [{ name: "rvc:grace", title: "Grace", description: "An imported voice." }];
  const worn = (server) => live({ voice: { preset: "rvc:grace" }, voice_engine: "rvc", ...server }, { welcome: { voices } });
  assert.match(stateWords(worn({})).detail, /imported voice Grace\./);
  assert.doesNotMatch(stateWords(worn({ voice_preparing: true })).detail, /Grace/);
  assert.match(stateWords(worn({ voice_over_budget: true })).detail, /over 250 ms/);
  assert.match(choiceWords(worn({ voice_over_budget: true }).server, "An imported voice."), /^An imported voice\. .*250 ms/);
  assert.match(choiceWords(worn({ voice_preparing: true }).server, "An imported voice."), /being loaded/);
  assert.equal(choiceWords(live().server, "Somebody else."), "Somebody else.");
});

test("the voice engine of this call is named, not the lane's", () => {
  const engines = { face_name: "mesh", face_state: "ready", voice_name: "world", voice_state: "ready", ready: true };
  assert.match(engineWords(engines, { ...SERVER, voice_engine: "rvc" }), /Voice engine: rvc$/);
  assert.match(engineWords(engines, null), /Voice engine: world$/);
});

test("with a mapping no one face is named, and cover is not called a missing face", () => {
  const mapping = { entries: [{ reference: "portrait:a", wears: "blur" }], others: "blur", lock: true };
  assert.equal(stateWords(live({ mapping })).headline, "Each appears as you chose.");
  assert.equal(stateWords(live({ mapping, picture: "card" })).headline, "Covered: nobody is recognised.");
  assert.equal(stateWords(live({ picture: "card" })).headline, "Covered: no face found.");
});
