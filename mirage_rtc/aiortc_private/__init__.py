"""Every correction of aiortc and aioice, read at aiortc 1.16.0 and aioice 0.13.0. No other package touches their
private names; `rtc_leg` applies the corrections to each peer connection between the offer and the answer.

What is corrected, where, and how upstream stands (the tests of each file fail when a name that it touches moves):
- `media_buffer`: upstream gives a video frame out only when the next one begins, and after one lost audio packet stays
  280 ms late (aiortc#543); an unrecovered video packet freezes the picture for up to 512 packets.
- `decode_queue`: upstream's decoder queue is unbounded (aiortc#1192), and close() joins its thread on the loop.
- `sound_queue`: a thread, a task and two futures for each decoded 20 ms of sound.
- `receiver`: NACK is sent once, PLI on overflow only, and the peer's sender reports are not used for capture times.
- `frame_encoder`: upstream encodes in the loop's default executor, makes a new encoder for a new bitrate, and measures
  the audio level sample by sample in Python.
- `sender`: reports send times as capture times (so that a browser cannot keep lip-sync) and knows no generations.
- `rtp_stream`: upstream serialises each packet from objects, and keeps 128 of them, with no regard to their age.
- `pacer`: upstream sends a key frame in one burst.
- `addresses`: no loopback address, any UDP port (aioice#47), no 1:1 NAT.
- `pause`: a direction is switched off by negotiation only, not while the peer is away.
- `send_consent`: a check of consent that is answered after half a second has failed, and six of them end the call.
- `source_guard`: datagrams of strangers reach DTLS, an empty one ends the call, a short STUN message raises.
"""

READ_AT = {"aiortc": "1.16.0", "aioice": "0.13.0"}
