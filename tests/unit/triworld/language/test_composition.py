"""Words that change a scene, and the caption of the result."""

import numpy as np

from onepeace_pl.triworld import Law, TriWorldSource, World
from onepeace_pl.triworld.image.render import render
from onepeace_pl.triworld.language import words
from onepeace_pl.triworld.language.composition import compose_captions
from onepeace_pl.triworld.world.factors import BACKGROUNDS, HELD_OUT_BACKGROUNDS, KINDS
from onepeace_pl.triworld.world.numerics import KeyedRandom

SCENES = list(World("train", 120, Law()))


def backgrounds(text: str) -> set[str]:
    return {name for name in BACKGROUNDS if any(phrase in text for phrase in words.BACKGROUNDS[name])}


def kinds(text: str) -> set[str]:
    said = set(text.replace(",", " ").split())
    return {kind for kind in KINDS if any(noun in said for pair in words.NOUNS[kind] for noun in pair)}


def test_what_is_heard_gets_the_background_of_the_words() -> None:
    for number, scene in enumerate(SCENES):
        made = compose_captions(scene, SCENES, False, KeyedRandom(number))
        assert backgrounds(made.change) == backgrounds(made.caption) == {made.other.background}
        assert not kinds(made.change)
        assert kinds(made.caption) == set(scene.kinds)


def test_what_is_seen_keeps_its_background_or_its_objects() -> None:
    kept = {"background": 0, "objects": 0}
    for number, scene in enumerate(SCENES):
        made = compose_captions(scene, SCENES, True, KeyedRandom(number))
        if backgrounds(made.change):
            kept["objects"] += 1
            assert backgrounds(made.caption) == {made.other.background}
            assert kinds(made.caption) <= set(scene.kinds)  # captions of images may leave one out
        else:
            kept["background"] += 1
            assert backgrounds(made.caption) == {scene.background}
            assert kinds(made.change) == kinds(made.caption) == set(made.other.kinds)
    assert min(kept.values()) > 30


def test_held_out_combinations_are_never_composed() -> None:
    for number, scene in enumerate(SCENES):
        for seen in (False, True):
            made = compose_captions(scene, SCENES, seen, KeyedRandom(number))
            (ground,) = backgrounds(made.caption)
            assert not any((kind, ground) in HELD_OUT_BACKGROUNDS for kind in kinds(made.caption))


def test_rows_have_the_fields_of_a_composed_query() -> None:
    names = ("audio", "text", "text:change", "text:composed", "image:other")
    rows = TriWorldSource(size=24, modalities=names, caption="audio", image_size=48)
    first, second = rows.training_row(3, 0), rows.training_row(3, 1)
    assert tuple(first.fields) == names
    assert first.fields["text:composed"] != second.fields["text:composed"]
    assert rows.training_row(3, 0).fields["text:change"] == first.fields["text:change"]
    (ground,) = backgrounds(first.fields["text:composed"])
    shown = [
        scene
        for scene in rows.scenes
        if np.array_equal(render(scene, 48), first.fields["image:other"]) and scene.background == ground
    ]
    assert len(shown) == 1
