"""The optimum is the best there is: calibrated, and no other rule beats it on many galleries."""

from dataclasses import replace

import numpy as np
import pytest

from onepeace_pl.triworld import Law
from onepeace_pl.triworld.language.captions import MENTION_RATES, sample_content
from onepeace_pl.triworld.optimum.likelihood import content_marginal
from onepeace_pl.triworld.optimum.retrieval import (
    audio_image_scores,
    caption_scores,
    chance,
    factor_accuracy,
    query_recall,
    recall,
)
from onepeace_pl.triworld.world.numerics import KeyedRandom
from tests.unit.triworld.drafting import any_scene

LAW = Law((1, 2))
SIZE = 96
GALLERIES = 6


def galleries(caption: str, modality: str) -> list[np.ndarray]:
    """(contents, scenes) scores of several galleries drawn by the law."""
    rng = KeyedRandom(6)
    found = []
    for _ in range(GALLERIES):
        scenes = [any_scene(LAW, rng) for _ in range(SIZE)]
        contents = [sample_content(scene, MENTION_RATES[caption], rng) for scene in scenes]
        found.append(caption_scores(contents, scenes, MENTION_RATES[caption], LAW, modality))
    return found


@pytest.fixture(scope="module")
def scores_of() -> dict[str, list[np.ndarray]]:
    return {"image": galleries("image", "image"), "audio": galleries("audio", "audio")}


def expected_best(scores: np.ndarray, k: int) -> float:
    """Mass of the k likeliest targets under the posterior over this gallery, averaged over queries."""
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    posterior = odds / odds.sum(axis=1, keepdims=True)
    return float(np.sort(posterior, axis=1)[:, -k:].sum(axis=1).mean())


@pytest.mark.parametrize("caption", ["image", "audio"])
@pytest.mark.parametrize("direction", ["text->", "->text"])
@pytest.mark.parametrize("k", [1, 5])
def test_recall_is_what_the_posterior_promises(scores_of: dict, caption: str, direction: str, k: int) -> None:
    """A rule that finds its own target exactly as often as its posterior says can't be improved."""
    scores = [s if direction == "text->" else s.T for s in scores_of[caption]]
    found = np.mean([recall(s)[k] for s in scores])
    promised = np.mean([expected_best(s, k) for s in scores])
    deviation = np.sqrt(max(promised * (1 - promised), 0.01) / (SIZE * GALLERIES))
    assert abs(found - promised) < 3 * deviation


@pytest.mark.parametrize("caption", ["image", "audio"])
def test_what_fits_with_ties_at_random_is_worse(scores_of: dict, caption: str) -> None:
    """Both directions: fuller sentences are likelier to be a scene's own."""
    for turn in (lambda s: s, lambda s: s.T):
        best = np.mean([recall(turn(s))[1] for s in scores_of[caption]])
        ties = np.mean([recall(turn(np.where(np.isfinite(s), 0.0, -np.inf)))[1] for s in scores_of[caption]])
        assert ties < best - 0.01


def test_likelihood_alone_is_worse() -> None:
    """A scene that looks for its sentence must ask how likely the sentence is of any scene."""
    rng = KeyedRandom(6)
    best, raw = [], []
    for _ in range(GALLERIES):
        scenes = [any_scene(LAW, rng) for _ in range(SIZE)]
        contents = [sample_content(scene, MENTION_RATES["audio"], rng) for scene in scenes]
        scores = caption_scores(contents, scenes, MENTION_RATES["audio"], LAW, "audio")
        base = np.log([content_marginal(content, MENTION_RATES["audio"], LAW) for content in contents])
        best.append(recall(scores.T)[1])
        raw.append(recall((scores + base[:, None]).T)[1])
    assert np.mean(raw) < np.mean(best) - 0.02


def test_a_small_world_by_brute_force() -> None:
    """Three scenes, whose speaker is simulated: the posterior over them is what the scores say."""
    rng = KeyedRandom(12)
    first = any_scene(Law((1, 1)), rng)
    thing = first.objects[0]
    other = replace(first, objects=(replace(thing, colour="blue" if thing.colour != "blue" else "red"),))
    third = replace(first, background="sand" if first.background != "sand" else "snow")
    scenes = [first, other, third]
    counts: dict = {}
    for _ in range(20000):
        truth = rng.integer(3)
        content = sample_content(scenes[truth], MENTION_RATES["image"], rng)
        counts.setdefault(content, [0, 0, 0])[truth] += 1
    common = sorted(counts, key=lambda content: -sum(counts[content]))[:12]
    scores = caption_scores(common, scenes, MENTION_RATES["image"], Law((1, 1), "include"), "image")
    posterior = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    for content, row in zip(common, posterior, strict=True):
        total = sum(counts[content])
        for seen, expected in zip(counts[content], row, strict=True):
            assert abs(seen / total - expected) < 4 * np.sqrt(0.25 / total)


def test_without_a_factor_less_is_found() -> None:
    rng = KeyedRandom(6)
    scenes = [any_scene(LAW, rng) for _ in range(SIZE)]
    contents = [sample_content(scene, MENTION_RATES["audio"], rng) for scene in scenes]
    full = recall(caption_scores(contents, scenes, MENTION_RATES["audio"], LAW, "audio"))
    deaf = recall(
        caption_scores(contents, scenes, MENTION_RATES["audio"], LAW, "audio", frozenset({"rhythm"}))
    )
    assert deaf[1] < full[1] - 0.05


def test_sound_and_picture_agree_in_kind_size_and_count_alone() -> None:
    rng = KeyedRandom(5)
    for objects, low, high in (((1, 1), 0.05, 0.14), ((1, 2), 0.36, 0.52)):
        scenes = [any_scene(Law(objects), rng) for _ in range(256)]
        assert low < recall(audio_image_scores(scenes, scenes))[1] < high


def test_recall_with_ties() -> None:
    scores = np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    assert query_recall(scores, (1, 2))[1].tolist() == pytest.approx([1 / 2, 0, 1 / 3])
    assert recall(scores, (1, 2, 3)) == pytest.approx({1: 5 / 18, 2: 8 / 9, 3: 1.0})
    assert recall(scores + 1e-13 * np.eye(3), (1,)) == pytest.approx({1: 5 / 18})
    with pytest.raises(ValueError, match=r"shape \(2, 3\)"):
        recall(scores[:2])


def test_equal_sentences_are_one_query_and_one_target() -> None:
    rng, size, kinds = np.random.default_rng(0), 400, 6
    scenes = rng.integers(3, size=size)  # three sorts of scenes, each with six sentences of its own odds
    odds = np.array([[8, 4, 2, 1, 1, 1], [1, 1, 8, 4, 2, 1], [2, 1, 1, 1, 4, 8]]) / 17
    said = np.array([rng.choice(kinds, p=odds[scene]) for scene in scenes])
    scores = np.log(odds[scenes][:, said] / odds.mean(0)[said])  # (scene, sentence)
    forth = recall(scores, (1, 2), targets=said.tolist())
    posterior = odds[scenes]
    for k in (1, 2):
        expected = np.sort(posterior, axis=1)[:, -k:].sum(axis=1).mean()
        assert forth[k] == pytest.approx(expected, abs=0.06)
    back = query_recall(scores.T, (1,), queries=said.tolist())
    assert len(back[1]) == kinds
    assert recall(np.zeros((4, 4)), (1, 2), queries=list("aaab")) == pytest.approx(
        {1: (3 / 4 + 1 / 4) / 2, 2: (1 + 1 / 2) / 2}
    )


def test_factor_accuracy_and_chance() -> None:
    scores = np.array([[1.0, 1.0], [0.0, 1.0]])
    assert factor_accuracy(scores, [{"kind": "bell"}, {"kind": "bird"}]) == {"kind": 0.75}
    assert chance(256) == {1: 1 / 256, 5: 5 / 256, 10: 10 / 256}
    assert chance(4)[10] == 1.0
