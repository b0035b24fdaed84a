"""The one error of voices on disk: a checkpoint, a graph or a stored voice that is not used, and why."""


class VoiceRefused(Exception):
    """A file that is not used. `code` never changes meaning; `sentence` is for a person and says what to do."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
