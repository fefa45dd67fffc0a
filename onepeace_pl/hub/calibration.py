"""Calibration of a shared embedding space: vectors and scores of all modalities on one scale.

Images, texts and sounds of a contrastively trained space lie in separate cones (the modality gap, Liang et al. 2022,
https://arxiv.org/abs/2203.02053), so that in a candidate list that mixes modalities one of them crowds out the others.
Centring is the remedy of GR-CLIP (Li et al. 2025, https://arxiv.org/abs/2507.19054).

Shapes: N vectors, M candidates, D width, K modalities.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from onepeace_pl.checkpoints.folder import CALIBRATION, CALIBRATION_FACTS, write_tensors
from onepeace_pl.checkpoints.loading import read_safetensors
from onepeace_pl.errors import UserError
from onepeace_pl.utils.files import write_text
from onepeace_pl.utils.json_files import read_json_object

Kind = Literal["none", "centring", "whitening"]
FORMAT = 1
FEWEST = 8  # fewer vectors of a modality say nothing of its mean, and their scores have no spread
TOP = 0.99


@dataclass(frozen=True)
class Calibration:
    """Calibration of a shared embedding space.

    Vectors are centred by modality (or whitened, or left) and normalised again. :meth:`scores` also gives the cosine
    similarities of each pair of modalities an offset and a temperature, by those of unrelated items, so that a text and
    an image compete as equals for one query. Within one modality this leaves the order as it is.

    Attributes:
        kind: ``centring`` subtracts the mean of the modality; ``whitening`` multiplies by the inverse square root of
            the covariance within modalities, too; ``none`` leaves vectors as they are.
        rows: Number of vectors of each of the K modalities that it was fitted on.
        means: (K, D) mean of each modality.
        score_medians: (K, K) median cosine similarity of unrelated items of two modalities.
        score_scales: (K, K) distance from there to the 99th percentile.
        whitening: (D, D) matrix, shared by all modalities; None for the other kinds.
    """

    kind: Kind
    rows: Mapping[str, int]
    means: Tensor
    score_medians: Tensor
    score_scales: Tensor
    whitening: Tensor | None = None

    @classmethod
    def fit(
        cls,
        vectors: Mapping[str, Tensor],
        kind: Kind = "centring",
        ids: Mapping[str, Sequence[str]] | None = None,
        shrinkage: float | None = None,
    ) -> Self:
        """Fit a calibration to embeddings of data that the model was not trained on.

        Args:
            vectors: Modality to (N, D) unit vectors; a few hundred are enough, and modalities may have different
                numbers of them.
            kind: See the class.
            ids: Modality to N ids; items of equal id are related. None relates row i of all modalities.
            shrinkage: Weight of the identity in the covariance, 0 to 1; None estimates it (oracle approximating
                shrinkage, Chen et al. 2010).

        Raises:
            UserError: An unknown kind, fewer than 8 vectors of a modality, vectors of different widths, other numbers
                of ids than vectors, or a shrinkage outside 0 to 1.
        """
        if kind not in get_args(Kind):
            raise UserError(f"kind={kind!r}: choose one of {', '.join(get_args(Kind))}")
        if shrinkage is not None and not 0 <= shrinkage <= 1:
            raise UserError(f"shrinkage={shrinkage} must be between 0 and 1")
        numbers = _numbers(vectors, ids)
        names = tuple(vectors)
        means = {name: rows.double().mean(0) for name, rows in vectors.items()}
        whitening = None
        if kind == "whitening":
            centred = torch.cat([vectors[name].double() - means[name] for name in names])
            whitening = inverse_root(centred, shrinkage).float().cpu()
        size = len(names), len(names)
        fitted = cls(
            kind,
            {name: len(rows) for name, rows in vectors.items()},
            torch.stack(list(means.values())).float().cpu(),
            torch.zeros(size),
            torch.ones(size),
            whitening,
        )
        moved = {name: fitted.transform(name, rows) for name, rows in vectors.items()}
        for (i, one), (j, two) in product(enumerate(names), repeat=2):
            scores = (moved[one] @ moved[two].T).cpu()
            unrelated = scores[numbers[one][:, None] != numbers[two]].numpy()
            middle, top = np.quantile(unrelated, [0.5, TOP]) if len(unrelated) else (0.0, 0.0)
            if top - middle < 1e-6:
                raise UserError(
                    f"{one} and {two}: all rows are related or alike; give rows of different content"
                )
            fitted.score_medians[i, j], fitted.score_scales[i, j] = float(middle), float(top - middle)
        return fitted

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the K modalities."""
        return tuple(self.rows)

    @property
    def width(self) -> int:
        """Embedding dimension D."""
        return self.means.shape[1]

    def transform(self, modality: str, vectors: Tensor) -> Tensor:
        """Return calibrated unit vectors.

        Args:
            modality: Their modality.
            vectors: (..., D) unit vectors as the model gives them.

        Raises:
            UserError: The calibration was not fitted on this modality, or the vectors are of another width or type.
        """
        number = self._number(modality, vectors)
        if self.kind == "none":
            return vectors.float()
        moved = vectors.float() - self.means[number].to(vectors.device)
        if self.whitening is not None:
            moved = moved @ self.whitening.to(vectors.device)
        return normalize(moved, dim=-1)

    def scores(self, query: str, queries: Tensor, target: str, candidates: Tensor) -> Tensor:
        """Return scores (N, M) that can be compared between candidates of different modalities.

        A score is a cosine similarity on the scale of unrelated items of both modalities: 0 is their median, 1 the
        99th percentile. What counts at the top of a list is that end of the distribution: with standard deviations
        instead, a modality with a few close neighbours everywhere still crowds out the others.

        Args:
            query: Modality of the queries.
            queries: (N, D) calibrated unit vectors, neither truncated nor quantised.
            target: Modality of the candidates.
            candidates: (M, D) calibrated unit vectors, likewise.

        Raises:
            UserError: The calibration was not fitted on a modality, or vectors are of another width or type.
        """
        one, two = self._number(query, queries), self._number(target, candidates)
        cosines = queries.float() @ candidates.float().T
        return (cosines - self.score_medians[one, two].item()) / self.score_scales[one, two].item()

    def save(self, folder: str | Path) -> Path:
        """Write ``calibration.safetensors`` and ``calibration.json`` to a folder, and return it."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {
            "means": self.means,
            "score_medians": self.score_medians,
            "score_scales": self.score_scales,
        }
        if self.whitening is not None:
            tensors["whitening"] = self.whitening
        facts = {"format": FORMAT, "kind": self.kind, "rows": dict(self.rows)}
        write_tensors(folder / CALIBRATION, tensors)
        write_text(folder / CALIBRATION_FACTS, json.dumps(facts, indent=2) + "\n")
        return folder

    @classmethod
    def of_folder(cls, folder: str | Path) -> Self | None:
        """Read the calibration of a model folder; None where it has none."""
        return cls.load(folder) if (Path(folder) / CALIBRATION_FACTS).is_file() else None

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read the calibration of a folder.

        Raises:
            UserError: There is none, or it is damaged.
        """
        path = Path(folder) / CALIBRATION_FACTS
        if not path.is_file() or not (Path(folder) / CALIBRATION).is_file():
            raise UserError(f"{folder} has no calibration; `python -m onepeace_pl calibrate` writes one")
        facts, tensors = read_json_object(path), read_safetensors(Path(folder) / CALIBRATION)
        kind, rows = facts.get("kind", ""), facts.get("rows", {})
        wanted = {"means", "score_medians", "score_scales", *(["whitening"] if kind == "whitening" else [])}
        known = kind in get_args(Kind) and isinstance(rows, dict)
        if facts.get("format") != FORMAT or not known or tensors.keys() != wanted:
            raise UserError(f"{path}: no calibration of format {FORMAT}; fit it again")
        return cls(kind, dict(rows), **tensors)

    def equals(self, other: Calibration | None) -> bool:
        """Return whether another calibration gives the same vectors and scores."""
        if other is None or (self.kind, self.modalities) != (other.kind, other.modalities):
            return False
        one, two = ((c.means, c.score_medians, c.score_scales, c.whitening) for c in (self, other))
        return all(
            a is b or (a is not None and b is not None and torch.equal(a, b))
            for a, b in zip(one, two, strict=True)
        )

    def _number(self, modality: str, vectors: Tensor) -> int:
        if modality not in self.modalities:
            raise UserError(
                f"the calibration knows {', '.join(self.modalities)}, not {modality}; fit it on rows that have it"
            )
        if vectors.shape[-1] != self.width or not vectors.is_floating_point():
            kind = str(vectors.dtype).removeprefix("torch.")
            raise UserError(
                f"vectors of {vectors.shape[-1]} dimensions in {kind}, and a calibration for {self.width} in float32; "
                "they are truncated or quantised, or it is of another model"
            )
        return self.modalities.index(modality)


def joint_name(modalities: Iterable[str]) -> str:
    """Return the name of the vectors of joint passes, such as ``image+text``: a modality of its own."""
    return "+".join(sorted(modalities))


def inverse_root(centred: Tensor, shrinkage: float | None = None) -> Tensor:
    """Return the inverse square root (D, D) of a covariance that is shrunk towards a multiple of the identity.

    Args:
        centred: (N, D) vectors of mean zero.
        shrinkage: Weight of the identity; None for oracle approximating shrinkage, with at least 1e-6.
    """
    count, width = centred.shape
    covariance = centred.T @ centred / count
    variance = covariance.trace() / width
    if shrinkage is None:
        spread = (covariance**2).mean()
        over = (count + 1) * (spread - variance**2 / width)
        shrinkage = min(1.0, float((spread + variance**2) / over)) if over > 0 else 1.0
    shrinkage = max(shrinkage, 1e-6)  # a singular covariance has no inverse
    identity = torch.eye(width, dtype=centred.dtype)
    values, vectors = torch.linalg.eigh((1 - shrinkage) * covariance + shrinkage * variance * identity)
    root: Tensor = vectors @ torch.diag(values.rsqrt()) @ vectors.T
    return root


def _numbers(vectors: Mapping[str, Tensor], ids: Mapping[str, Sequence[str]] | None) -> dict[str, Tensor]:
    """Check vectors and ids, and return a number (N,) for each id."""
    if not vectors:
        raise UserError("nothing to fit a calibration to; give vectors of one or more modalities")
    known: dict[object, int] = {}
    numbers = {}
    width = next(iter(vectors.values())).shape[-1]
    for name, rows in vectors.items():
        mine: Sequence[object] = range(len(rows)) if ids is None else ids[name]
        if rows.ndim != 2 or rows.shape[1] != width:
            raise UserError(f"{name}: vectors of shape {tuple(rows.shape)} instead of (N, {width})")
        if len(rows) < FEWEST:
            raise UserError(
                f"{name}: {len(rows)} vectors are too few to calibrate with; give {FEWEST} or more"
            )
        if len(mine) != len(rows):
            raise UserError(f"{name}: {len(mine)} ids for {len(rows)} vectors; give as many")
        numbers[name] = torch.tensor([known.setdefault(each, len(known)) for each in mine])
    return numbers
