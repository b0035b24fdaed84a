"""The error of voices on disk."""

from models.voice_refusal import VoiceRefused


def test_a_refusal_has_a_code_and_says_its_sentence() -> None:
    """As every error that reaches a person."""
    refused = VoiceRefused("voice_damaged", "It is damaged.")
    assert (refused.code, refused.sentence, str(refused)) == ("voice_damaged", "It is damaged.", "It is damaged.")
