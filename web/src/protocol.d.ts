// Generated from signaling/protocol.py by `python -m signaling.page_types`. Do not edit.

export type ProtocolVersion = 1;
export type Subprotocol = "mirage.v1";
export type ClientMessage = Hello | Offer | Candidate | SetIdentity | SetMapping | SetVoice | SetPassthrough | SetMuted | SetBadge | SetEnhancer | StartChunks | Report | Ping | Bye;
export type ServerMessage = Welcome | Answer | State | Stats | Notice | Failure | Pong | Closing;

/** The answer to `POST /v1/sessions`. */
export interface Admission {
  session_id: string;
  resume_token: string;
  resume_grace_s: number;
  signal_url: string;
}

/** The SDP answer; all of the server's candidates are in it. */
export interface Answer {
  type: "answer";
  sdp: string;
}

/** End the session now; its resume token dies with it. */
export interface Bye {
  type: "bye";
}

/** What the server refuses to take more of. */
export interface CallLimits {
  sdp_bytes: number;
  message_bytes: number;
  candidates: number;
  messages_per_s: number;
  bytes_per_s: number;
  picture_bytes: number;
  picture_px: number;
  upload_bytes: number;
  chunk_rate_hz?: number;
  chunk_samples?: number;
  chunk_samples_max?: number;
}

/** What is sent out for this session right now. It `can_map` when the face engine tells people apart.

    `voice_engine` is the one that speaks. While `voice_preparing` it is not yet that of the chosen voice. With
    `voice_over_budget` the voice is so slow that the call takes over 250 ms from mouth to ear. */
export interface CallState {
  identity: string;
  mapping: MappingChoice;
  can_map: boolean;
  voice: VoiceChoice;
  passthrough_face: boolean;
  passthrough_voice: boolean;
  muted_audio: boolean;
  muted_video: boolean;
  badge: boolean;
  enhancer: EnhancerState;
  picture: "card" | "frozen" | "live" | "passthrough" | "waiting";
  sound: "live" | "passthrough" | "silent" | "waiting";
  face_engine: string;
  voice_engine: string;
  voice_over_budget?: boolean;
  voice_preparing?: boolean;
  transport: "chunks" | "none" | "webrtc";
}

/** One trickled ICE candidate of the client; an empty `candidate` means that there are no more. */
export interface Candidate {
  type: "candidate";
  candidate: string;
  sdp_mid?: string | null;
  sdp_m_line_index?: number | null;
}

/** What we sent with this RTP timestamp was captured at `captured_ms`: Unix ms on the client's own clock. */
export interface CaptureMark {
  rtp_timestamp: number;
  captured_ms: number;
}

/** Last message before the server closes the socket. After `replaced` and `bye` do not reconnect. */
export interface Closing {
  type: "closing";
  code: string;
  sentence: string;
}

/** Which engine runs each stage on this server, and how it is; `voice_why`: what became of imported voices. */
export interface Engines {
  face_name: string;
  face_state: "closed" | "failed" | "ready" | "restarting" | "starting";
  voice_name: string;
  voice_state: "closed" | "failed" | "ready" | "restarting" | "starting";
  voice_why?: string;
  ready: boolean;
}

/** What a call wishes of the face enhancer; `running` works on each `every`th frame, "" and 0 when none does.

    `paused` is why not: no time, off after failures, not believed on these faces, not open yet. `offers` are the names
    that this server has. */
export interface EnhancerState {
  mode?: "auto" | "every" | "off";
  model?: "codeformer" | "gfpgan" | "gpen-256" | null;
  fidelity?: number;
  running?: string;
  every?: number;
  paused?: "" | "busy" | "face" | "failed" | "opening";
  offers?: (string)[];
}

/** A message was refused; `about` is its type ("chunk" for a binary frame). The call goes on. */
export interface Failure {
  type: "error";
  code: string;
  sentence: string;
  retryable: boolean;
  about?: string | null;
}

/** The answer to `GET /v1/identities`; the answer to `POST /v1/identities` is one `IdentityChoice`. */
export interface Gallery {
  identities: (IdentityChoice)[];
}

/** What the link's token allows beyond the call itself. */
export interface Granted {
  passthrough: boolean;
  badge_off: boolean;
  enroll: boolean;
  max_call_s?: number | null;
}

/** First message of a client: the protocol version it speaks. The server answers `welcome`. */
export interface Hello {
  type: "hello";
  version: number;
}

/** One entry of RTCConfiguration.iceServers. */
export interface IceServer {
  urls: (string)[];
  username?: string | null;
  credential?: string | null;
}

/** A face that can be worn; its picture is at `/v1/identities/{id}/thumbnail` (percent-encode the id). */
export interface IdentityChoice {
  id: string;
  kind: "mask" | "portrait";
  title: string;
  description: string;
  receipt_id?: string | null;
}

/** Who wears what; everybody else is blurred, wears the call's identity ("swap"), or is left alone ("passthrough").

    No entries and "swap" is no mapping. With `lock` a face that was recognised keeps its part until it is contradicted. */
export interface MappingChoice {
  entries?: (MappingEntry)[];
  others?: "blur" | "passthrough" | "swap";
  lock?: boolean;
}

/** Who looks like the portrait `reference`, by a cosine of `threshold`, wears the identity `wears`, or "blur". */
export interface MappingEntry {
  reference: string;
  wears: string;
  threshold?: number;
}

/** Something the person should know; the call goes on. */
export interface Notice {
  type: "notice";
  code: string;
  sentence: string;
  severity: "error" | "info" | "warning";
}

/** An SDP offer; a second one replaces the media connection of the same session. Answered by `answer`. */
export interface Offer {
  type: "offer";
  sdp: string;
}

/** Answered by `pong` with the same `sent_ms`; for round-trip time and the clock offset. */
export interface Ping {
  type: "ping";
  sent_ms: number;
}

/** `server_ms` is the server's monotonic clock. */
export interface Pong {
  type: "pong";
  sent_ms: number;
  server_ms: number;
}

/** The body of every HTTP error. */
export interface Problem {
  code: string;
  sentence: string;
  retryable: boolean;
}

/** What the page measured in the last second; every field may be null. */
export interface Report {
  type: "report";
  rtt_ms?: number | null;
  jitter_video_ms?: number | null;
  jitter_audio_ms?: number | null;
  glass_ms?: number | null;
  mouth_ms?: number | null;
  fps_shown?: number | null;
  frames_dropped?: number | null;
}

/** A voice that one saved; the answer to `PUT /v1/voices/presets/{name}`. */
export interface SavedVoice {
  name: string;
  voice: VoiceChoice;
}

/** The answer to `GET /v1/voices/presets`. */
export interface SavedVoices {
  presets: (SavedVoice)[];
}

/** The answer to `GET /v1/sessions/{id}`. */
export interface SessionView {
  session_id: string;
  state: CallState;
}

/** Show or hide the visible "AI" badge. Hiding it needs the grant `badge_off`. */
export interface SetBadge {
  type: "set_badge";
  visible: boolean;
}

/** Restore the swapped face: never, as often as the server has time for, or every frame while it is not overloaded.

    `model` is one of `offers` in the state, the first without it; `fidelity` (CodeFormer) 0 is sharpest, 1 nearest. */
export interface SetEnhancer {
  type: "set_enhancer";
  mode: "auto" | "every" | "off";
  model?: "codeformer" | "gfpgan" | "gpen-256" | null;
  fidelity?: number;
}

/** Wear another face: the `id` of one of the identities in `welcome` or of an upload since. */
export interface SetIdentity {
  type: "set_identity";
  identity: string;
}

/** Follow this mapping from the next picture. "passthrough" needs the grant; while it is off, others are blurred. */
export interface SetMapping {
  type: "set_mapping";
  entries?: (MappingEntry)[];
  others?: "blur" | "passthrough" | "swap";
  lock?: boolean;
}

/** Send silence or the card instead of sound or picture. */
export interface SetMuted {
  type: "set_muted";
  audio: boolean;
  video: boolean;
}

/** Send the caller's own face or voice, untouched. Needs the grant `passthrough`. */
export interface SetPassthrough {
  type: "set_passthrough";
  face: boolean;
  voice: boolean;
}

/** Sound like this from the next hop on. */
export interface SetVoice {
  type: "set_voice";
  preset?: string;
  pitch_semitones?: number;
  formant_ratio?: number;
  breath?: number;
  reference?: string | null;
  index_rate?: number;
  protect?: number;
  input_gain_db?: number;
  gate_db?: number | null;
  denoise?: boolean;
  auto_pitch?: boolean;
}

/** Carry the media on this socket from now on (ICE failed); ends the session's WebRTC media. */
export interface StartChunks {
  type: "start_chunks";
}

/** Sent after every change, of an engine's state too. */
export interface State {
  type: "state";
  identity: string;
  mapping: MappingChoice;
  can_map: boolean;
  voice: VoiceChoice;
  passthrough_face: boolean;
  passthrough_voice: boolean;
  muted_audio: boolean;
  muted_video: boolean;
  badge: boolean;
  enhancer: EnhancerState;
  picture: "card" | "frozen" | "live" | "passthrough" | "waiting";
  sound: "live" | "passthrough" | "silent" | "waiting";
  face_engine: string;
  voice_engine: string;
  voice_over_budget?: boolean;
  voice_preparing?: boolean;
  transport: "chunks" | "none" | "webrtc";
  engines: Engines;
}

/** Once a second. Rates are per second, counts since the session began, latencies in ms inside the server.

    The marks (WebRTC, once the client's sender reports came) let the client measure the whole way back to itself;
    `reports_ahead_ms` is how far `server_ms` of `pong` is ahead of those reports' Unix clock, the network included. */
export interface Stats {
  type: "stats";
  fps_in: number;
  fps_out: number;
  video_ms_p50: number;
  audio_ms_p50: number;
  skew_ms: number;
  dropped: number;
  swapped: number;
  frozen: number;
  cards: number;
  hops: number;
  hops_silent: number;
  voice_ratio: number;
  voice_hop_ms?: number;
  voice_accept_ratio?: number;
  voice_over_budget?: boolean;
  face_cpu_ms: number;
  video_mark?: CaptureMark | null;
  audio_mark?: CaptureMark | null;
  reports_ahead_ms?: number | null;
}

/** How the voice is to sound; `reference` is what `POST /v1/voices/reference` returned. */
export interface VoiceChoice {
  preset?: string;
  pitch_semitones?: number;
  formant_ratio?: number;
  breath?: number;
  reference?: string | null;
  index_rate?: number;
  protect?: number;
  input_gain_db?: number;
  gate_db?: number | null;
  denoise?: boolean;
  auto_pitch?: boolean;
}

/** A voice that can be chosen by `name`; that of an imported one begins with "rvc:". */
export interface VoicePreset {
  name: string;
  title: string;
  description: string;
  kind?: "embedded" | "imported";
}

/** The answer to `POST /v1/voices/reference`; `reference` goes into `set_voice`. */
export interface VoiceReference {
  reference: string;
  title: string;
}

/** The answer to `hello`. `resume_token` re-enters this session for `resume_grace_s` after a lost socket. */
export interface Welcome {
  type: "welcome";
  version: number;
  session_id: string;
  resume_token: string;
  resume_grace_s: number;
  ice_servers: (IceServer)[];
  identities: (IdentityChoice)[];
  voices: (VoicePreset)[];
  grants: Granted;
  state: CallState;
  engines: Engines;
  limits: CallLimits;
  server_version: string;
}
