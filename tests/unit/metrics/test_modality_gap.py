"""Distance of centroids, and the probe that tells modalities apart."""

import numpy as np
import pytest
import torch

from onepeace_pl.errors import UserError
from onepeace_pl.metrics.modality_gap import centroid_distances, fit_logistic_regression, probe_accuracy


def clouds(distance: float, rows: tuple[int, int] = (300, 300)) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shift = distance * torch.eye(8)[0]
    return {
        "image": torch.randn(rows[0], 8, generator=generator) * 0.1,
        "text": torch.randn(rows[1], 8, generator=generator) * 0.1 + shift,
    }


def test_distance_of_centroids() -> None:
    vectors = clouds(0.5)
    found = centroid_distances(vectors)["image", "text"]
    assert found.value == pytest.approx(float((vectors["image"].mean(0) - vectors["text"].mean(0)).norm()))
    assert found.value == pytest.approx(0.5, abs=0.03)
    assert found.low < found.value < found.high
    spread = 1.96 * 0.1 * np.sqrt(2 / 300)  # of a difference of two means along one line
    assert found.high - found.low == pytest.approx(2 * spread, rel=0.15)


def test_every_pair_of_modalities() -> None:
    vectors = clouds(1.0) | {"audio": clouds(0.0)["image"]}
    distances = centroid_distances(vectors)
    assert list(distances) == [("image", "text"), ("image", "audio"), ("text", "audio")]
    assert distances["image", "audio"].value == 0


@pytest.mark.parametrize("rows", [(300, 300), (300, 60)])
def test_the_probe_tells_cones_apart_and_nothing_else(rows) -> None:
    assert probe_accuracy(clouds(2.0, rows)).value > 0.99
    chance = probe_accuracy(clouds(0.0, rows))  # of unequal numbers, too: accuracy is balanced
    assert chance.value == pytest.approx(0.5, abs=0.06)


def test_the_probe_is_measured_on_rows_that_it_was_not_trained_on() -> None:
    noise = torch.randn(120, 200, generator=torch.Generator().manual_seed(0))  # more dimensions than rows
    assert probe_accuracy({"image": noise[:60], "text": noise[60:]}).value < 0.7


def test_logistic_regression_is_that_of_the_textbook() -> None:
    """Two classes: the optimum where the gradient of the balanced, penalised loss vanishes."""
    points = clouds(0.1, (200, 50))
    both = np.concatenate([points["image"].numpy(), points["text"].numpy()]).astype(np.float64)
    labels = np.repeat([0, 1], [200, 50])
    weights = fit_logistic_regression(both, labels, penalty=0.5)
    logits = both @ weights[:-1] + weights[-1]
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    errors = (chances - np.eye(2)[labels]) * np.array([250 / 400, 250 / 100])[labels][:, None]
    np.testing.assert_allclose(both.T @ errors + 0.5 * weights[:-1], 0, atol=5e-3)
    np.testing.assert_allclose(errors.sum(0), 0, atol=5e-3)


def test_mistakes() -> None:
    with pytest.raises(UserError, match="only image to tell apart"):
        probe_accuracy({"image": torch.ones(4, 2)})
    with pytest.raises(UserError, match="needs 2 vectors of each modality"):
        probe_accuracy({"image": torch.ones(4, 2), "text": torch.ones(1, 2)})
