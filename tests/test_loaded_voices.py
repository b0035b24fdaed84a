"""Which voices stay loaded."""

import gc
import weakref

from models.loaded_voices import LoadedVoices


class Voice:
    """Stands for a few hundred megabytes."""


def test_the_last_ones_wanted_stay_and_the_others_are_freed() -> None:
    """Wanted is what was added or asked for; what went is gone from memory too."""
    voices: LoadedVoices[Voice] = LoadedVoices(kept=2)
    refs = {}
    for name in ("a", "b"):
        voice = Voice()
        refs[name] = weakref.ref(voice)
        voices.add(name, voice)
    assert voices.get("a") is refs["a"]()
    voices.add("c", Voice())
    del voice
    gc.collect()
    assert voices.get("b") is None
    assert refs["b"]() is None
    assert voices.get("a") is not None


def test_what_a_stream_uses_is_found_however_long_ago_it_was_wanted() -> None:
    """It is not loaded a second time beside itself."""
    voices: LoadedVoices[Voice] = LoadedVoices(kept=1)
    used = Voice()
    voices.add("used", used)
    for name in ("a", "b", "c"):
        voices.add(name, Voice())
    assert voices.get("used") is used


def test_a_forgotten_voice_is_not_given_out_again() -> None:
    """Not even while a stream still uses it; its id may be another's."""
    voices: LoadedVoices[Voice] = LoadedVoices(kept=2)
    old, new = Voice(), Voice()
    voices.add("a", old)
    voices.forget("a")
    voices.forget("a")
    assert voices.get("a") is None
    voices.add("a", new)
    assert voices.get("a") is new
