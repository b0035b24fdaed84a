"""The neural face engine: SCRFD finds, ArcFace recognises, a swapper swaps. For a GPU; weights are the operator's.

`mirage_rtc.lane_worker` opens it through `face_engine_choice` and drives it by the Protocols of `models.engines`. A
face is swapped only when its place is sure and the answer is another face; every other one is blurred, but for those
that a mapping with an explicit grant leaves untouched. What cannot be accounted for costs the whole frame. What fails
raises: the frame goes nowhere.
"""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models import face_alignment, face_templates, portrait_rules, synthetic_identity
from models.arcface import ArcFace, Embedding, mean_embedding, odd_one_out
from models.carried_faces import FaceCarrier
from models.crop_edges import CropEdges
from models.engines import Frame, IdentitySource, Others, PreparedPart, Swap, SwapRequest
from models.enhancer_stage import CallEnhancement, EnhancerStage
from models.face_casting import Bare, OneForAll, Part
from models.fitting import FittedFace, Fitting
from models.mapped_faces import MappedFaces, Person
from models.neural_face_wearer import NeuralFaceWearer
from models.runtime import NetworkError
from models.scrfd import FoundFace, Scrfd
from models.swapper import Latent, NonsenseAnswer, SwappedCrop, Swapper

BATCH_MAX = 8
"""Frames of several calls in one run of the swapper; a GPU gains little beyond."""
MAX_NOSE_OFFSET = 0.8
"""Of a portrait's nose from the middle between its eyes, in distances between them: about 55 degrees of turn."""
FAILED_RUNS_TO_RESTART = 10
"""Batches in a row without one frame that went through: a lost GPU stays lost until its process ends."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NeuralIdentity:
    """Whom to look like, as the swapper knows it, and how to know them. In memory only, shared by all that wear it."""

    latent: Latent
    embedding: Embedding

    def casting(self) -> OneForAll:
        """Everybody who may wear an identity wears this one."""
        return OneForAll(self.latent)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MappedIdentities:
    """Who wears what, as `NeuralFaceEngine.mapped` makes it."""

    encoder: ArcFace
    people: tuple[Person, ...]
    others: Part
    lock: bool

    def casting(self) -> MappedFaces:
        """Nobody is known yet."""
        return MappedFaces(self.encoder, self.people, others=self.others, lock=self.lock)


class NeuralFaceEngine:
    """Identities and calls of the neural face engine; all of it belongs to one thread. `warm_up` before the first call.

    After `FAILED_RUNS_TO_RESTART` batches in a row of which a network failed every frame it ends its process
    (`SystemExit`), which its lane starts again; not if the swapper, tried on what it was warmed up with, is well.
    """

    name = "neural"
    why = ""
    """What decided for this engine, in words, for the log."""
    batch_max = BATCH_MAX

    def __init__(
        self,
        detector: Scrfd,
        encoder: ArcFace,
        swapper: Swapper,
        *,
        edges: CropEdges | None = None,
        enhancement: EnhancerStage | None = None,
    ) -> None:
        """`edges`, of the swapper's size, brings the masking networks that there are, `enhancement` the enhancers."""
        self.swapper = swapper
        self._edges = edges or CropEdges(swapper.size_px)
        self._detector = detector
        self._encoder = encoder
        self._enhancement = enhancement or EnhancerStage(swapper)
        self._failed_runs = 0

    @property
    def extras(self) -> tuple[str, ...]:
        """Names of the enhancers that a call may wish for, the preferred one first."""
        return self._enhancement.offers

    def warm_up(self) -> None:
        """Run every network in every shape of a call with one face, so that no caller waits for it.

        Raises what they raise, and `NetworkError` when the identity does not matter to the swapper.
        """
        noise = np.random.default_rng(1).integers(0, 256, (512, 512, 3), np.uint8)
        for size_px in self._detector.sizes_px:
            self._detector.detect_at(noise, size_px)
        self._encoder.embed(noise, [face_templates.arcface_template(112)])
        crop, answers = self._swap_noise()
        self._require_identity(crop, answers)
        self._edges.draw([crop], [answer for answer in answers if answer is not None])

    def prepare(self, source: IdentitySource) -> NeuralIdentity:
        """An identity of a portrait (see `PortraitError`), or of nobody for a mask (KeyError for an unknown one)."""
        *_, identity = self.steps(source)
        assert identity is not None
        return identity

    def steps(self, source: IdentitySource) -> Iterator[NeuralIdentity | None]:
        """As `prepare`, a portrait at a time: None after each but the last, then the identity."""
        if source.kind == "mask":
            embedding = synthetic_identity.embedding(synthetic_identity.seed_of(source.name))
        else:
            embedding = yield from self._mean(portrait_rules.pictures(source))
        yield NeuralIdentity(latent=self.swapper.latent(embedding), embedding=embedding)

    def mapped(
        self, identity: NeuralIdentity, parts: Sequence[PreparedPart], *, others: Others, lock: bool
    ) -> MappedIdentities:
        """What a wearer wears to follow a mapping; `identity` is what others wear who are to be swapped."""
        people = [
            Person(
                embedding=part.reference.embedding,
                wears=None if part.wears is None else part.wears.latent,
                threshold=part.threshold,
            )
            for part in parts
        ]
        part_of: dict[Others, Part] = {"blur": None, "swap": identity.latent, "passthrough": Bare.UNTOUCHED}
        return MappedIdentities(encoder=self._encoder, people=tuple(people), others=part_of[others], lock=lock)

    def open(self, *, max_faces: int) -> NeuralFaceWearer:
        """State for one call in which up to `max_faces` faces, the largest, wear the identity."""
        return NeuralFaceWearer(FaceCarrier(self._detector, max_faces=max_faces), self.swapper, self._swap_one)

    def swap_batch(self, requests: Sequence[SwapRequest]) -> list[Swap | Exception]:
        """Frames of different calls, one each; the swapper sees all their faces in one run.

        A frame that fails stands as what it raised and costs only its own call its tracks.
        """
        began_s = self._enhancement.began()
        begun = [self._begun(request) for request in requests]
        if len(begun) > 1:
            self._fit([fitting for fitting in begun if isinstance(fitting, Fitting)])
        answered = [self._answered(fitting) for fitting in begun]
        self._enhancement.enhance(_enhanceable(requests, answered))
        swaps = [self._finished(request, fitting) for request, fitting in zip(requests, answered, strict=True)]
        self._enhancement.ended(began_s)
        self._count(swaps)
        return swaps

    def _swap_one(self, request: SwapRequest) -> Swap:
        (swap,) = self.swap_batch([request])
        if isinstance(swap, Exception):
            raise swap
        return swap

    def _begun(self, request: SwapRequest) -> Fitting | Exception:
        assert isinstance(request.wearer, NeuralFaceWearer)
        try:
            return request.wearer.begin(request.frame, request.time_s)
        except Exception as error:  # noqa: BLE001 - a network may raise anything; the other calls' frames go on
            return error

    def _fit(self, fittings: Sequence[Fitting]) -> None:
        """Have the swapper answer for all faces; where that fails each frame is tried by itself when it is finished."""
        faces = [face for fitting in fittings for face in fitting.fitted]
        began_s, began_wall_s = time.thread_time(), time.perf_counter()
        try:
            self._answer(faces)
        except Exception:  # noqa: BLE001 - it is tried again, a frame at a time, and raised there
            return
        share_ms = (time.thread_time() - began_s) * 1000 / max(1, len(faces))
        took_ms = (time.perf_counter() - began_wall_s) * 1000
        for fitting in fittings:
            fitting.watch.add("swap", share_ms * len(fitting.fitted), took_ms)

    def _answered(self, begun: Fitting | Exception) -> Fitting | Exception:
        """The frame with all its faces asked for: by a run of its own where none for several frames did it."""
        unanswered = [] if isinstance(begun, Exception) else [face for face in begun.fitted if not face.asked]
        if isinstance(begun, Exception) or not unanswered:
            return begun
        begun.watch.resume()
        try:
            self._answer(unanswered)
        except Exception as error:  # noqa: BLE001 - a network may raise anything; the other calls' frames go on
            return error
        begun.watch.mark("swap")
        return begun

    def _answer(self, faces: Sequence[FittedFace]) -> None:
        """Fill in answers and edges; a face whose answer is nonsense has neither, and is not asked for again."""
        given = self.swapper.swap([face.crop for face in faces], [face.latent for face in faces])
        sound = [(face, answer) for face, answer in zip(faces, given, strict=True) if answer is not None]
        alphas = self._edges.draw([face.crop for face, _ in sound], [answer for _, answer in sound]) if sound else []
        for (face, answer), alpha in zip(sound, alphas, strict=True):
            face.answer, face.alpha = answer, alpha
        for face in faces:
            face.asked = True

    def _finished(self, request: SwapRequest, begun: Fitting | Exception) -> Swap | Exception:
        assert isinstance(request.wearer, NeuralFaceWearer)
        try:
            swap = self._finish(request.wearer, begun)
        except Exception as error:  # noqa: BLE001 - a network may raise anything; what it had seen is not trusted after that
            request.wearer.reset()
            return error
        return swap

    def _finish(self, wearer: NeuralFaceWearer, begun: Fitting | Exception) -> Swap:
        if isinstance(begun, Exception):
            raise begun
        return replace(wearer.finish(begun), enhancement=wearer.enhancement.report)

    def _count(self, swaps: Sequence[Swap | Exception]) -> None:
        """End the process when the networks fail again and again for everybody, however many share a batch."""
        if any(isinstance(swap, Swap) for swap in swaps):
            self._failed_runs = 0
            return
        errors = [swap for swap in swaps if isinstance(swap, NetworkError)]
        self._failed_runs += bool(errors)
        if self._failed_runs < FAILED_RUNS_TO_RESTART:
            return
        if all(isinstance(error, NonsenseAnswer) for error in errors) and self._swapper_is_well():
            self._failed_runs = 0  # another process would give the same answer to the same face
        else:
            sentence = f"{FAILED_RUNS_TO_RESTART} batches in a row had no frame that went through: {errors[0]}"
            raise SystemExit(sentence) from errors[0]

    def _swap_noise(self) -> tuple[Frame, list[SwappedCrop | None]]:
        """The swapper's answer to a picture of nothing, the same each time. Raises as `Swapper.swap`."""
        side_px = self.swapper.size_px
        crop = np.random.default_rng(2).integers(0, 256, (side_px, side_px, 3), np.uint8)
        return crop, self.swapper.swap([crop], [self._nobody(0)])

    def _require_identity(self, crop: Frame, answers: Sequence[SwappedCrop | None]) -> None:
        """Raises `NetworkError` when the swapper gives another identity the same picture: the raw face's."""
        others = self.swapper.swap([crop], [self._nobody(1)])
        for one, other in zip(answers, others, strict=True):
            if one is not None and other is not None and np.array_equal(one.picture, other.picture):
                raise NetworkError(
                    "the swapper gives the same answer whoever is to be worn: its file is damaged, or of another "
                    "network; fetch it again with `mirage-rtc models fetch`."
                )

    def _nobody(self, seed: int) -> Latent:
        """The latent of a drawn identity."""
        return self.prepare(IdentitySource(kind="mask", name=f"{synthetic_identity.PREFIX}{seed}")).latent

    def _swapper_is_well(self) -> bool:
        """Whether it answers as at the start: if so, what it gave for a caller's face is that face's doing."""
        try:
            self._swap_noise()
        except NetworkError:
            return False
        return True

    def _mean(self, pictures: Sequence[Frame]) -> Generator[None, None, Embedding]:
        """One identity of all portraits of a source, which are to be of one person; pauses between them."""
        rows: list[Embedding] = []
        for picture in pictures:
            if rows:
                yield
            rows.append(self._encoder.embed(picture, [self._portrait_points(picture)]))
        embeddings = np.concatenate(rows)
        odd = odd_one_out(embeddings)
        if odd is not None:
            raise portrait_rules.somebody_else(odd)
        return mean_embedding(embeddings)

    def _portrait_points(self, picture: Frame) -> face_templates.Points:
        face = portrait_rules.only_face(self._detector.detect(picture), _side_px)
        portrait_rules.require_size(_side_px(face))
        if face_alignment.nose_offset(face.points) > MAX_NOSE_OFFSET:
            raise portrait_rules.turned_away()
        return face.points


def _enhanceable(
    requests: Sequence[SwapRequest], answered: Sequence[Fitting | Exception]
) -> list[tuple[CallEnhancement, Fitting]]:
    """The frames that an enhancer may add to, each with its call's wish."""
    return [
        (request.wearer.enhancement, fitting)
        for request, fitting in zip(requests, answered, strict=True)
        if isinstance(request.wearer, NeuralFaceWearer) and isinstance(fitting, Fitting)
    ]


def _side_px(face: FoundFace) -> float:
    return float((face.box[2:] - face.box[:2]).max())
