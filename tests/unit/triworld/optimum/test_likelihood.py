"""p(content | scene) against the speaker itself, and the posterior of a small world by enumeration."""

from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from onepeace_pl.triworld import Law
from onepeace_pl.triworld.language.captions import MENTION_RATES, Caption, Content, Mention, sample_content
from onepeace_pl.triworld.optimum.likelihood import Factors, content_likelihood, content_marginal
from onepeace_pl.triworld.world.factors import BACKGROUNDS, COLOURS, KINDS, PLACES, RHYTHMS, SIZES, layouts
from onepeace_pl.triworld.world.laws import TRAIN_PAIRS
from onepeace_pl.triworld.world.numerics import KeyedRandom
from onepeace_pl.triworld.world.world import is_allowed
from tests.unit.triworld.drafting import any_scene

ROUNDS = 6000


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("caption", ["image", "vague", "audio", "audiovisual"])
def test_frequencies(count: int, caption: Caption) -> None:
    """A speaker says each thing as often as the closed form says."""
    rates, law = MENTION_RATES[caption], Law((count, count), "include")
    scene = any_scene(law, KeyedRandom(3, count))
    rng = KeyedRandom(1, count)
    said = Counter(sample_content(scene, rates, rng) for _ in range(ROUNDS))
    factors = Factors.of([scene], law)
    for content, times in said.most_common(12):
        expected = ROUNDS * content_likelihood(content, factors, rates)[0]
        assert abs(times - expected) < 4.5 * np.sqrt(expected) + 1, content


@pytest.mark.parametrize("caption", ["image", "audio"])
def test_objects_of_one_kind(caption: Caption) -> None:
    rates, law = MENTION_RATES[caption], Law((2, 2), "include")
    rng = KeyedRandom(8)
    scene = next(s for s in iter(lambda: any_scene(law, rng), None) if len(s.kinds) == 1)
    said = Counter(sample_content(scene, rates, rng) for _ in range(ROUNDS))
    factors = Factors.of([scene], law)
    assert any(content.mentions[0].number == 2 for content in said)
    for content, times in said.most_common(12):
        expected = ROUNDS * content_likelihood(content, factors, rates)[0]
        assert abs(times - expected) < 4.5 * np.sqrt(expected) + 1, content


@pytest.mark.parametrize(
    ("hidden", "caption"),
    [
        (frozenset({"rhythm", "order"}), "audiovisual"),
        (frozenset({"colour", "place", "background"}), "audiovisual"),
        (frozenset({"colour", "place", "background"}), "image"),
    ],
)
@pytest.mark.parametrize("novelty", ["include", "exclude"])
def test_hidden_factors_are_summed_over(hidden: frozenset[str], caption: Caption, novelty: str) -> None:
    """What a modality doesn't show: the mean over all scenes that look (sound) the same."""
    law = Law((2, 2), novelty)  # type: ignore[arg-type]
    rng = KeyedRandom(17)
    rates = MENTION_RATES[caption]
    scene = any_scene(law, rng)
    key = _shown(scene, hidden)
    alike = _alike(scene, hidden, law)
    assert all(_shown(other, hidden) == key for other in alike)
    for _ in range(6):
        content = sample_content(scene, rates, rng)
        known = content_likelihood(content, Factors.of([scene], law, hidden), rates)[0]
        mean = content_likelihood(content, Factors.of(alike, law), rates).mean()
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
                        if is_allowed(BACKGROUNDS.index(background), drafts, law.novelty):
                            found.append(replace(scene, background=background, objects=objects))
    return found


def test_refusals() -> None:
    scenes = [any_scene(Law((n, n)), KeyedRandom(n)) for n in (1, 2)]
    with pytest.raises(ValueError, match="different numbers"):
        Factors.of(scenes, Law())
    with pytest.raises(ValueError, match="'kind'"):
        Factors.of(scenes[:1], Law(), frozenset({"kind"}))


@pytest.fixture(scope="module")
def every_single_scene() -> dict[str, np.ndarray]:
    """All 69120 scenes of one object."""
    grid = np.array(
        list(product(*(range(len(v)) for v in (BACKGROUNDS, KINDS, SIZES, COLOURS, PLACES, RHYTHMS))))
    )
    names = ("background", "kind", "size", "colour", "place", "rhythm")
    return {name: grid[:, i] for i, name in enumerate(names)}


@pytest.mark.parametrize("novelty", ["include", "exclude", "visible", "audible"])
@pytest.mark.parametrize("caption", ["image", "vague", "audio", "audiovisual"])
def test_one_object_exactly(
    every_single_scene: dict[str, np.ndarray], novelty: str, caption: Caption
) -> None:
    law = Law((1, 1), novelty)  # type: ignore[arg-type]
    s = every_single_scene
    eye = (
        TRAIN_PAIRS.colours[s["kind"], s["colour"]] * TRAIN_PAIRS.backgrounds[s["kind"], s["background"]]
    ) > 0
    ear = TRAIN_PAIRS.rhythms[s["kind"], s["rhythm"]] > 0
    keep = {"include": eye | True, "exclude": eye & ear, "visible": ~eye, "audible": ~ear}[novelty]
    values = {name: s[name][keep, None] for name in ("kind", "size", "colour", "place", "rhythm")}
    factors = Factors(s["background"][keep], values, law)
    rng = KeyedRandom(2)
    for _ in range(8):
        content = sample_content(any_scene(law, rng), MENTION_RATES[caption], rng)
        expected = content_likelihood(content, factors, MENTION_RATES[caption]).mean()
        np.testing.assert_allclose(
            content_marginal(content, MENTION_RATES[caption], law), expected, rtol=1e-9
        )


@pytest.mark.parametrize("novelty", ["include", "exclude", "visible", "audible"])
@pytest.mark.parametrize("caption", ["vague", "audio"])
def test_several_objects_on_average(novelty: str, caption: Caption) -> None:
    """With few things said, the mean over drawn scenes comes close to the closed form."""
    rates, law = MENTION_RATES[caption], Law((1, 3), novelty)  # type: ignore[arg-type]
    rng = KeyedRandom(4)
    groups = [Factors.of([any_scene(law, rng, count=n) for _ in range(4000)], law) for n in (1, 2, 3)]
    off = []
    for _ in range(25):
        content = sample_content(any_scene(law, rng), rates, rng)
        chances = [content_likelihood(content, factors, rates) for factors in groups]
        if sum((chance > 0).sum() for chance in chances) < 40:
            continue
        mean = np.mean([chance.mean() for chance in chances])
        spread = np.sqrt(sum(chance.var() / len(chance) for chance in chances)) / 3
        off.append((content_marginal(content, rates, law) - mean) / spread)
    assert len(off) > 3
    assert np.abs(off).max() < 4


def test_probabilities_of_all_vague_sentences_sum_to_one() -> None:
    """Every content of a tiny language: what one object can be called without detail."""
    law, rates = Law((1, 1)), MENTION_RATES["vague"]
    contents = [Content((Mention(kind, size),)) for kind in KINDS for size in (None, *SIZES)]
    contents += [Content((), background=background) for background in BACKGROUNDS]
    assert sum(content_marginal(content, rates, law) for content in contents) == pytest.approx(1.0, abs=1e-12)
