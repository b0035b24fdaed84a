"""The defaults need no file beyond the four that the specification names, and the options travel to the worker."""

import pickle

from models.face_options import FaceOptions


def test_the_defaults_and_the_way_to_another_process() -> None:
    """As the lane's spec is pickled."""
    options = FaceOptions()
    assert (options.swapper, options.masks) == ("auto", "occlusion")
    chosen = FaceOptions(swapper="hyperswap", masks="both")
    assert pickle.loads(pickle.dumps(chosen)) == chosen
