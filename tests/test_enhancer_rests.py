"""A face whose enhancement is not believed rests by itself, twice as long each time."""

from models.enhancer_rests import FIRST_FRAMES, LONGEST_FRAMES, EnhancerRests


def tries(rests: EnhancerRests, frames: int) -> list[int]:
    """The frames in which a face that is never believed is asked for."""
    asked = []
    for frame in range(frames):
        rests.next_frame()
        if not rests.resting("gfpgan", 7):
            asked.append(frame)
            rests.judged("gfpgan", 7, sound=False)
    return asked


def test_each_rest_is_twice_the_one_before_up_to_an_end() -> None:
    """Counted in frames between two tries."""
    asked = tries(EnhancerRests(), 6 * LONGEST_FRAMES)
    pauses = [second - first - 1 for first, second in zip(asked, asked[1:], strict=False)]
    assert pauses[:4] == [FIRST_FRAMES, 2 * FIRST_FRAMES, 4 * FIRST_FRAMES, 8 * FIRST_FRAMES]
    assert max(pauses) == pauses[-1] == LONGEST_FRAMES


def test_one_answer_that_is_believed_ends_it() -> None:
    """The next doubt begins with the first rest again."""
    rests = EnhancerRests()
    tries(rests, 3 * FIRST_FRAMES)
    assert rests.doubted("gfpgan")
    rests.judged("gfpgan", 7, sound=True)
    assert not rests.doubted("gfpgan")
    assert not rests.resting("gfpgan", 7)
    assert tries(rests, FIRST_FRAMES + 2) == [0, FIRST_FRAMES + 1]


def test_a_rest_is_of_one_track_and_one_enhancer() -> None:
    """Nobody else's, and gone with its track or when all is forgotten; that the call was doubted is kept."""
    rests = EnhancerRests()
    rests.judged("gfpgan", 7, sound=False)
    assert rests.resting("gfpgan", 7)
    assert not rests.resting("gfpgan", 8)
    assert not rests.resting("codeformer", 7)
    rests.keep({7, 8})
    assert rests.resting("gfpgan", 7)
    rests.keep({8})
    assert not rests.resting("gfpgan", 7)
    rests.judged("gfpgan", 8, sound=False)
    rests.clear()
    assert not rests.resting("gfpgan", 8)
    assert rests.doubted("gfpgan")
    assert not rests.doubted("codeformer")
