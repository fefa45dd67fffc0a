"""Modality gap: distance of the modalities' centroids, and a linear probe that tells the modalities apart.

Shapes: N vectors, D width, K modalities.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from onepeace_pl.errors import UserError
from onepeace_pl.metrics.bootstrap import Interval, mean_difference_interval, mean_interval

Floats = NDArray[np.float64]
FOLDS = 2


def centroid_distances(vectors: Mapping[str, Tensor]) -> dict[tuple[str, str], Interval]:
    """Return the distance between the centroids of every two modalities (Liang et al. 2022).

    The 95 % interval is that of the difference of means along the line through both centroids.

    Args:
        vectors: Modality to unit vectors (N, D).
    """
    distances = {}
    for (a, one), (b, two) in combinations(_arrays(vectors).items(), 2):
        line = one.mean(0) - two.mean(0)
        direction = line / max(float(np.linalg.norm(line)), 1e-12)
        distances[a, b] = mean_difference_interval(one @ direction, two @ direction)
    return distances


def probe_accuracy(vectors: Mapping[str, Tensor]) -> Interval:
    """Return the held-out balanced accuracy of a linear probe that predicts the modality of a vector.

    Logistic regression on standardised vectors, cross-fitted: each half is predicted by the probe of the other. Chance
    is 1 / K: the modalities cannot be told apart linearly.

    Args:
        vectors: Modality to unit vectors (N, D), in any order but not sorted by content.

    Raises:
        UserError: There is one modality only, or a modality has fewer vectors than folds.
    """
    arrays = list(_arrays(vectors).values())
    if len(arrays) < 2:
        raise UserError(f"only {', '.join(vectors) or 'nothing'} to tell apart; give two modalities")
    if min(map(len, arrays)) < FOLDS:
        raise UserError(f"a probe needs {FOLDS} vectors of each modality; give more rows")
    points = np.concatenate(arrays)
    labels = np.concatenate([np.full(len(rows), number) for number, rows in enumerate(arrays)])
    folds = np.concatenate([np.arange(len(rows)) % FOLDS for rows in arrays])
    right = np.zeros(len(points), dtype=bool)
    for fold in range(FOLDS):
        held_out = folds == fold
        seen = points[~held_out]
        mean, std = seen.mean(0), seen.std(0) + 1e-12
        weights = fit_logistic_regression((seen - mean) / std, labels[~held_out])
        scores = (points[held_out] - mean) / std @ weights[:-1] + weights[-1]
        right[held_out] = scores.argmax(1) == labels[held_out]
    balance = len(labels) / (len(arrays) * np.bincount(labels))
    return mean_interval(right * balance[labels])


def fit_logistic_regression(points: Floats, labels: NDArray[np.int64], penalty: float = 1.0) -> Floats:
    """Fit multinomial logistic regression with balanced classes.

    Args:
        points: (N, D).
        labels: (N,) class indices from 0.
        penalty: Weight of half the squared norm of the coefficients.

    Returns:
        (D + 1, K) coefficients, and the intercepts in the last row.
    """
    from scipy.optimize import minimize

    padded = np.pad(points, ((0, 0), (0, 1)), constant_values=1.0)
    counts = np.bincount(labels)
    shape = padded.shape[1], len(counts)
    weights = (len(labels) / (len(counts) * counts))[labels]
    rows = np.arange(len(labels))

    def loss(flat: Floats) -> tuple[float, Floats]:
        coefficients = flat.reshape(shape)
        logits = padded @ coefficients
        logits -= logits.max(1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        errors = np.exp(logs)
        errors[rows, labels] -= 1
        shrunk = coefficients * penalty
        shrunk[-1] = 0  # intercepts are free
        value = -(weights * logs[rows, labels]).sum() + (shrunk * coefficients).sum() / 2
        return float(value), (padded.T @ (weights[:, None] * errors) + shrunk).ravel()

    found = minimize(loss, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B")
    coefficients: Floats = found.x.reshape(shape)
    return coefficients


def _arrays(vectors: Mapping[str, Tensor]) -> dict[str, Floats]:
    return {name: rows.double().cpu().numpy() for name, rows in vectors.items()}
