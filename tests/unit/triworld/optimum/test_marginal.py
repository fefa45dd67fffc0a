"""p(content) in closed form against sums over scenes."""

from itertools import product

import numpy as np
import pytest

from onepeace_pl.triworld import Law
from onepeace_pl.triworld.language.content import HABITS, Caption, Content, Mention, describe
from onepeace_pl.triworld.optimum.likelihood import Factors, given_scene
from onepeace_pl.triworld.optimum.marginal import alone
from onepeace_pl.triworld.world.draws import Draws
from onepeace_pl.triworld.world.factors import BACKGROUNDS, COLOURS, KINDS, PLACES, RHYTHMS, SIZES
from onepeace_pl.triworld.world.laws import LEARNT
from tests.unit.triworld.drafting import any_scene


@pytest.fixture(scope="module")
def every_single_scene() -> dict[str, np.ndarray]:
    """All 69120 scenes of one object."""
    grid = np.array(
        list(product(*(range(len(v)) for v in (BACKGROUNDS, KINDS, SIZES, COLOURS, PLACES, RHYTHMS))))
    )
    names = ("background", "kind", "size", "colour", "place", "rhythm")
    return {name: grid[:, i] for i, name in enumerate(names)}


@pytest.mark.parametrize("novelty", ["include", "exclude", "visible", "audible"])
@pytest.mark.parametrize("caption", ["seen", "vague", "heard", "both"])
def test_one_object_exactly(
    every_single_scene: dict[str, np.ndarray], novelty: str, caption: Caption
) -> None:
    law = Law((1, 1), novelty)  # type: ignore[arg-type]
    s = every_single_scene
    eye = (LEARNT.colours[s["kind"], s["colour"]] * LEARNT.backgrounds[s["kind"], s["background"]]) > 0
    ear = LEARNT.rhythms[s["kind"], s["rhythm"]] > 0
    keep = {"include": eye | True, "exclude": eye & ear, "visible": ~eye, "audible": ~ear}[novelty]
    values = {name: s[name][keep, None] for name in ("kind", "size", "colour", "place", "rhythm")}
    factors = Factors(s["background"][keep], values, law)
    draws = Draws(2)
    for _ in range(8):
        content = describe(any_scene(law, draws), HABITS[caption], draws)
        expected = given_scene(content, factors, HABITS[caption]).mean()
        np.testing.assert_allclose(alone(content, HABITS[caption], law), expected, rtol=1e-9)


@pytest.mark.parametrize("novelty", ["include", "exclude", "visible", "audible"])
@pytest.mark.parametrize("caption", ["vague", "heard"])
def test_several_objects_on_average(novelty: str, caption: Caption) -> None:
    """With few things said, the mean over drawn scenes comes close to the closed form."""
    habits, law = HABITS[caption], Law((1, 3), novelty)  # type: ignore[arg-type]
    draws = Draws(4)
    groups = [Factors.of([any_scene(law, draws, count=n) for _ in range(4000)], law) for n in (1, 2, 3)]
    off = []
    for _ in range(25):
        content = describe(any_scene(law, draws), habits, draws)
        chances = [given_scene(content, factors, habits) for factors in groups]
        if sum((chance > 0).sum() for chance in chances) < 40:
            continue
        mean = np.mean([chance.mean() for chance in chances])
        spread = np.sqrt(sum(chance.var() / len(chance) for chance in chances)) / 3
        off.append((alone(content, habits, law) - mean) / spread)
    assert len(off) > 3
    assert np.abs(off).max() < 4


def test_probabilities_of_all_vague_sentences_sum_to_one() -> None:
    """Every content of a tiny language: what one object can be called without detail."""
    law, habits = Law((1, 1)), HABITS["vague"]
    contents = [Content((Mention(kind, size),)) for kind in KINDS for size in (None, *SIZES)]
    contents += [Content((), background=background) for background in BACKGROUNDS]
    assert sum(alone(content, habits, law) for content in contents) == pytest.approx(1.0, abs=1e-12)
