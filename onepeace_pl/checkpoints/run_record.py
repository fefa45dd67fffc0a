"""Record of a run in a model folder, for the model card: training, results, a picture of retrieval."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from onepeace_pl.utils.files import write_bytes, write_text
from onepeace_pl.utils.json_files import read_json_object

RECORD, PICTURE = "run.json", "gallery.png"


@dataclass(frozen=True)
class Score:
    """One result of an evaluation.

    Attributes:
        dataset: Evaluation set.
        metric: Such as ``image->text/R@1``.
        value: Value.
        low: Lower bound of its 95 % bootstrap interval, None where there is no interval.
        high: Upper bound.
        chance: Value of chance, None if unknown.
        optimum: Best achievable value, None if unknown.
    """

    dataset: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    optimum: float | None = None


@dataclass(frozen=True)
class RunRecord:
    """What a model card tells about the run that trained a model.

    Attributes:
        training: Facts by name: data, task, updates, optimiser.
        evaluated: Which weights were evaluated.
        scores: Results of the last evaluation.
        metadata: Of the data, for the head of the card: ``license``, ``language``, ``datasets``.
        picture: Queries with their nearest neighbours, an encoded PNG; None without one.
    """

    training: Mapping[str, str]
    evaluated: str = ""
    scores: tuple[Score, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    picture: bytes | None = None

    def save(self, folder: Path) -> None:
        """Write the record and the picture into a model folder."""
        plain = {
            "training": dict(self.training),
            "evaluated": self.evaluated,
            "scores": [asdict(score) for score in self.scores],
            "metadata": dict(self.metadata),
        }
        write_text(folder / RECORD, json.dumps(plain, indent=2) + "\n")
        if self.picture is not None:
            write_bytes(folder / PICTURE, self.picture)

    @classmethod
    def of_folder(cls, folder: Path) -> Self | None:
        """Read the record of a model folder; None where it has none."""
        if not (folder / RECORD).is_file():
            return None
        found = read_json_object(folder / RECORD)
        picture = folder / PICTURE
        return cls(
            found["training"],
            found["evaluated"],
            tuple(Score(**score) for score in found["scores"]),
            found["metadata"],
            picture.read_bytes() if picture.is_file() else None,
        )
