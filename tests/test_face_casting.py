"""Who wears what: one identity for everybody who may wear one."""

import numpy as np

from models.carried_faces import CarriedFace, CarriedFaces
from models.face_casting import OneForAll
from models.neural_face_engine import NeuralIdentity


def test_one_identity_is_worn_by_everybody_who_has_a_place() -> None:
    """The same latent for each face, none for an empty picture, nothing for a spare; nobody is preferred."""
    latent = np.ones(512, np.float32)
    face = CarriedFace(
        track_id=1, points=np.zeros((5, 2), np.float32), box=np.zeros(4, np.float32), confidence=0.9, stable=True
    )
    casting = NeuralIdentity(latent=latent, embedding=latent).casting()
    assert isinstance(casting, OneForAll)
    for faces in ((), (face,), (face, face)):
        seen = CarriedFaces(faces=faces, others=(face.box,), trusted=True, searched=True, spares=(face,))
        cast = casting.cast(np.zeros((9, 9, 3), np.uint8), seen)
        assert [one is latent for one in cast] == [*[True] * len(faces), False]
        assert cast[-1] is None
    assert casting.preferred() == frozenset()
    casting.reset()
