"""p(content | scene) against the speaker itself, and the posterior of a small world by enumeration."""

from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from onepeace_pl.triworld import Law
from onepeace_pl.triworld.language.content import HABITS, Caption, describe
from onepeace_pl.triworld.optimum.likelihood import Factors, given_scene
from onepeace_pl.triworld.world.draws import Draws
from onepeace_pl.triworld.world.factors import BACKGROUNDS, COLOURS, KINDS, PLACES, RHYTHMS
from onepeace_pl.triworld.world.layout import layouts
from onepeace_pl.triworld.world.world import allowed
from tests.unit.triworld.drafting import any_scene

ROUNDS = 6000


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("caption", ["seen", "vague", "heard", "both"])
def test_frequencies(count: int, caption: Caption) -> None:
    """A speaker says each thing as often as the closed form says."""
    habits, law = HABITS[caption], Law((count, count), "include")
    scene = any_scene(law, Draws(3, count))
    draws = Draws(1, count)
    said = Counter(describe(scene, habits, draws) for _ in range(ROUNDS))
    factors = Factors.of([scene], law)
    for content, times in said.most_common(12):
        expected = ROUNDS * given_scene(content, factors, habits)[0]
        assert abs(times - expected) < 4.5 * np.sqrt(expected) + 1, content


@pytest.mark.parametrize("caption", ["seen", "heard"])
def test_objects_of_one_kind(caption: Caption) -> None:
    habits, law = HABITS[caption], Law((2, 2), "include")
    draws = Draws(8)
    scene = next(s for s in iter(lambda: any_scene(law, draws), None) if len(s.kinds) == 1)
    said = Counter(describe(scene, habits, draws) for _ in range(ROUNDS))
    factors = Factors.of([scene], law)
    assert any(content.mentions[0].number == 2 for content in said)
    for content, times in said.most_common(12):
        expected = ROUNDS * given_scene(content, factors, habits)[0]
        assert abs(times - expected) < 4.5 * np.sqrt(expected) + 1, content


@pytest.mark.parametrize(
    ("hidden", "caption"),
    [
        (frozenset({"rhythm", "order"}), "both"),
        (frozenset({"colour", "place", "background"}), "both"),
        (frozenset({"colour", "place", "background"}), "seen"),
    ],
)
@pytest.mark.parametrize("novelty", ["include", "exclude"])
def test_hidden_factors_are_summed_over(hidden: frozenset[str], caption: Caption, novelty: str) -> None:
    """What a modality doesn't show: the mean over all scenes that look (sound) the same."""
    law = Law((2, 2), novelty)  # type: ignore[arg-type]
    draws = Draws(17)
    habits = HABITS[caption]
    scene = any_scene(law, draws)
    key = _shown(scene, hidden)
    alike = _alike(scene, hidden, law)
    assert all(_shown(other, hidden) == key for other in alike)
    for _ in range(6):
        content = describe(scene, habits, draws)
        known = given_scene(content, Factors.of([scene], law, hidden), habits)[0]
        mean = given_scene(content, Factors.of(alike, law), habits).mean()
        np.testing.assert_allclose(known, mean, rtol=1e-9)


def _shown(scene, hidden):
    rows = [
        tuple(
            getattr(t, name) for name in ("kind", "size", "colour", "place", "rhythm") if name not in hidden
        )
        for t in scene.objects
    ]
    return (None if "background" in hidden else scene.background, tuple(sorted(rows)))


def _alike(scene, hidden, law):
    """All scenes of two objects that agree in what is shown, each as likely as its weight in the list."""
    colours = COLOURS if "colour" in hidden else None
    rhythms = RHYTHMS if "rhythm" in hidden else None
    found = []
    orders = [scene.objects, scene.objects[::-1]] if "order" in hidden else [scene.objects]
    for things in orders:
        for background in BACKGROUNDS if "background" in hidden else [scene.background]:
            for look in product(colours or [None], repeat=2):
                for beat in product(rhythms or [None], repeat=2):
                    for cells in layouts(2) if "place" in hidden else [None]:
                        objects = tuple(
                            replace(
                                thing,
                                colour=look[i] or thing.colour,
                                rhythm=beat[i] or thing.rhythm,
                                place=PLACES[cells[i]] if cells else thing.place,
                            )
                            for i, thing in enumerate(things)
                        )
                        drafts = [
                            (KINDS.index(t.kind), 0, COLOURS.index(t.colour), 0, RHYTHMS.index(t.rhythm))
                            for t in objects
                        ]
                        if allowed(BACKGROUNDS.index(background), drafts, law.novelty):
                            found.append(replace(scene, background=background, objects=objects))
    return found


def test_refusals() -> None:
    scenes = [any_scene(Law((n, n)), Draws(n)) for n in (1, 2)]
    with pytest.raises(ValueError, match="different numbers"):
        Factors.of(scenes, Law())
    with pytest.raises(ValueError, match="'kind'"):
        Factors.of(scenes[:1], Law(), frozenset({"kind"}))
