"""The parts of a mapping: ArcFace says who each followed face is, and who is not surely known is blurred.

`neural_face_wearer` asks it as a `Casting`. A face is looked at when it is new, after every moment in which it was
lost, while it is near another, and from time to time; all faces that are due in a frame go through the network at once.
Embeddings of the people in the picture live here only, for as long as a check takes.

Who is left alone is raw, and that somebody resembles nobody of the mapping is weak evidence: a hand before the face, or
half of another's, says the same. So those who may be left alone are looked at with each detection, and covered whenever
somebody who is mapped could have come into their track: see `_doubt`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models import face_alignment, face_templates
from models.arcface import SIZE_PX, ArcFace, Embedding
from models.carried_faces import CarriedFace, CarriedFaces
from models.engines import Frame
from models.face_casting import Bare, Part
from models.geometry import Floats, grown, overlap
from models.swapper import Latent

RECHECK_DETECTIONS = 6
"""Detections from one look at a face that is known to the next: about a second at 25 frames."""
CONTRADICTIONS = 2
"""Checks in a row that a face's part is contradicted by before it is lost."""
STRANGE_CHECKS = 3
"""Detections in a row that find nobody of the mapping before a face surely is nobody of it."""
HIDING_CHECKS = 25
"""The same on the track that was last a mapped person's: five seconds, in which a hand comes down again."""
CONTRADICTED_BY, CONTRADICTED_MIN = 0.15, 0.25
"""A cosine so far below the threshold contradicts; strangers in the corpus reach 0.21, one person falls to 0.86."""
LEAD = 0.05
"""How much likelier the likeliest person must be than the next, or nobody knows which of them it is."""
NEAR = 0.25
"""Boxes grown by so much of their sides that touch are near: such faces are looked at with each detection."""
MIN_FACE_PX = 40
MAX_NOSE_OFFSET = 0.6
"""See `face_alignment.nose_offset`: a face turned further resembles nobody, which says nothing about who it is."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Person:
    """One line of a mapping: how they look, what they wear (None: blurred), and how alike a face must be, in cosine."""

    embedding: Embedding
    wears: Latent | None
    threshold: float


@dataclass(slots=True, kw_only=True)
class _Known:
    """What is known of one face within one spell. `person` is an index into the people.

    While it is `wary` the face may be somebody else's by now: it has its part only in frames that confirm it. It is
    `contested` when another face looks like the same person.
    """

    person: int | None = None
    since: int = 0
    likeness: float = 0.0
    against: int = 0
    strange: int = 0
    wary: bool = False
    contested: bool = False
    near: bool = False
    looked_detection: int | None = None
    sure_frame: int = -1
    enough: int = STRANGE_CHECKS

    @property
    def stranger(self) -> bool:
        return self.person is None and self.strange >= self.enough

    def overdue(self, detections: int) -> bool:
        """Whether it was not looked at for too long to say who it is."""
        return self.looked_detection is None or detections - self.looked_detection > RECHECK_DETECTIONS


class MappedFaces:
    """The casting of one call."""

    def __init__(self, encoder: ArcFace, people: Sequence[Person], *, others: Part, lock: bool) -> None:
        """`others` is the part of whoever is surely nobody of `people`."""
        self._encoder = encoder
        self._people = tuple(people)
        self._references = np.array([person.embedding for person in people], np.float32).reshape(-1, 512)
        self._others = others
        self._raw = others is Bare.UNTOUCHED
        self._lock = lock
        self._template = face_templates.arcface_template(SIZE_PX)
        self._last_track: dict[int, int] = {}  # of each person; outlives a reset: track ids are never used twice
        self.reset()

    def reset(self) -> None:
        """Nobody is known."""
        self._known: dict[int, _Known] = {}  # by spell
        self._preferred: frozenset[int] = frozenset()
        self._detections = self._frames = 0

    def preferred(self) -> frozenset[int]:
        """Those who wear a part of their own."""
        return self._preferred

    def cast(self, frame: Frame, seen: CarriedFaces) -> Sequence[Part]:
        """Look at the faces that are due and give everybody their part. Raises what the network raises."""
        everybody = (*seen.faces, *seen.spares)
        if not self._people:
            return [self._others] * len(seen.faces) + [_unplaced(self._others)] * len(seen.spares)
        self._frames += 1
        self._detections += seen.searched
        self._meet(everybody, seen.others[len(seen.spares) :])
        self._look(frame, [face for face in everybody if self._due(face) and self._shows(face, frame)])
        self._settle_claims()
        if self._raw:
            self._doubt(everybody)
        parts = [self._part(self._known[face.spell]) for face in everybody]
        pairs = zip(everybody, parts, strict=True)
        self._preferred = frozenset(face.track_id for face, part in pairs if self._wears_own(face, part))
        return [part if at < len(seen.faces) else _unplaced(part) for at, part in enumerate(parts)]

    def _meet(self, everybody: Sequence[CarriedFace], vanished: Sequence[Floats]) -> None:
        """Forget who is gone; be wary of whom they were near to, and of faces that touch: tracks may change places."""
        before, self._known = self._known, {face.spell: self._met(face) for face in everybody}
        gone = [known for spell, known in before.items() if spell not in self._known]
        left_company, lost_somebody = any(known.near for known in gone), any(known.person is not None for known in gone)
        boxes = [*(face.box for face in everybody), *vanished]
        for at, face in enumerate(everybody):
            known, rest = self._known[face.spell], [box for other, box in enumerate(boxes) if other != at]
            if self._raw and (lost_somebody or (left_company and known.near)):
                known.strange = 0
            known.wary |= left_company and known.near
            known.wary |= _touches(face.box, rest[: len(everybody) - 1])
            known.near = _touches(grown(face.box, NEAR), rest)

    def _met(self, face: CarriedFace) -> _Known:
        """What is known of a face; of a new one only whose its track was."""
        known = self._known.get(face.spell) or _Known()
        hiding = self._raw and face.track_id in self._last_track.values()
        known.enough = HIDING_CHECKS if hiding else STRANGE_CHECKS
        return known

    def _doubt(self, everybody: Sequence[CarriedFace]) -> None:
        """Cover strangers who are not surely where they are thought to be, or who touch anybody not known this moment.

        Nobody is in a picture twice: who touches somebody confirmed in this very frame is not they.
        """
        unsure = [face.box for face in everybody if not self._known_now(self._known[face.spell])]
        for face in everybody:
            known = self._known[face.spell]
            if not known.stranger:
                continue
            if face.confidence < face_alignment.MIN_CONFIDENCE or _touches(face.box, unsure):
                known.strange = 0

    def _known_now(self, known: _Known) -> bool:
        return known.stranger or (known.person is not None and known.sure_frame == self._frames)

    def _due(self, face: CarriedFace) -> bool:
        known = self._known[face.spell]
        if known.looked_detection is None or known.against or known.wary or known.contested:
            return True
        settled = (known.person is not None or (known.stranger and not self._raw)) and not known.near
        return self._detections - known.looked_detection >= (RECHECK_DETECTIONS if settled else 1)

    def _shows(self, face: CarriedFace, frame: Frame) -> bool:
        """Whether a face is large enough, and turned to the camera enough, for the network to judge."""
        if float((face.box[2:] - face.box[:2]).min()) < MIN_FACE_PX:
            return False
        if face_alignment.alignment(face, frame, self._template, SIZE_PX) is None:
            return False
        return face_alignment.nose_offset(face.points) <= MAX_NOSE_OFFSET

    def _look(self, frame: Frame, faces: Sequence[CarriedFace]) -> None:
        embeddings = self._encoder.embed(frame, [face.points for face in faces])
        for face, likenesses in zip(faces, embeddings @ self._references.T, strict=True):
            known, best = self._known[face.spell], int(likenesses.argmax())
            another = known.looked_detection != self._detections
            known.looked_detection = self._detections
            if known.person is not None:
                self._confirm(known, likenesses, best)
            if known.person is None:
                self._recognise(known, likenesses, best, another=another)
            if known.person is not None:
                self._last_track[known.person] = face.track_id

    def _confirm(self, known: _Known, likenesses: Floats, best: int) -> None:
        """Whether a face with a part still is that person: yes, surely not, or who can tell."""
        assert known.person is not None
        own, threshold = float(likenesses[known.person]), self._people[known.person].threshold
        somebody_else = best != known.person and float(likenesses[best]) >= self._people[best].threshold
        if own >= threshold and not somebody_else:
            known.against, known.likeness = 0, own
            self._be_sure(known)
        elif somebody_else or own < _contradicting(threshold):
            known.against += CONTRADICTIONS if known.contested else 1
        if known.against >= CONTRADICTIONS or (not self._lock and known.sure_frame < self._frames):
            known.person, known.against, known.strange = None, 0, 0

    def _recognise(self, known: _Known, likenesses: Floats, best: int, *, another: bool) -> None:
        """Whether a face without a part is somebody of the mapping: yes, surely not, or who can tell.

        `another` detection's look counts; in the frames between the face hardly changes.
        """
        likeness, next_best = float(likenesses[best]), float(np.delete(likenesses, best).max(initial=-1.0))
        strange = all(
            float(each) < _contradicting(person.threshold)
            for each, person in zip(likenesses, self._people, strict=True)
        )
        known.strange = known.strange + another if strange else 0
        if likeness >= self._people[best].threshold and likeness - next_best >= LEAD:
            known.person, known.likeness, known.since = best, likeness, self._frames
            self._be_sure(known)
        elif known.stranger:
            self._be_sure(known)

    def _be_sure(self, known: _Known) -> None:
        known.sure_frame, known.wary, known.contested = self._frames, False, False

    def _settle_claims(self) -> None:
        """Nobody is in a picture twice: who had the part keeps it if confirmed, of newcomers the likeliest takes it."""
        for person in range(len(self._people)):
            claims = [known for known in self._known.values() if known.person == person]
            ranked = sorted(claims, key=lambda known: (known.since, -known.likeness))
            for known in ranked[1:]:
                known.person, ranked[0].contested = None, True

    def _part(self, known: _Known) -> Part:
        if known.wary and known.sure_frame < self._frames:
            return None
        if known.person is not None:
            return self._people[known.person].wears
        if self._raw and known.overdue(self._detections):
            return None
        return self._others if known.stranger else None

    def _wears_own(self, face: CarriedFace, part: Part) -> bool:
        return part is not None and self._known[face.spell].person is not None


def _contradicting(threshold: float) -> float:
    return max(CONTRADICTED_MIN, threshold - CONTRADICTED_BY)


def _touches(box: Floats, others: Sequence[Floats]) -> bool:
    return bool(others) and float(overlap(box, np.stack(others)).max()) > 0


def _unplaced(part: Part) -> Part:
    """The part of a spare: there is no place to wear anything."""
    return part if part is Bare.UNTOUCHED else None
