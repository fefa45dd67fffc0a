"""Results of classification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from onepeace_pl.modalities.base import RawValue
from onepeace_pl.results.base import Result, check_threshold
from onepeace_pl.utils.json_files import JsonObject

if TYPE_CHECKING:
    from PIL import Image

HALF = 0.5
MOST_BARS = 10
FEW_BARS = 5  # in a small picture


@runtime_checkable
class RanksClasses(Protocol):
    """A task whose predictions list its likeliest classes.

    Attributes:
        top: Number of classes listed.
    """

    top: int


@dataclass(frozen=True, kw_only=True)
class ClassificationResult(Result):
    """Result of classification with one class.

    Attributes:
        classes: Names of the likeliest classes, the likeliest first.
        probabilities: Their probabilities.
    """

    classes: tuple[str, ...]
    probabilities: tuple[float, ...]

    @classmethod
    def from_prediction(
        cls, id: str, inputs: Mapping[str, RawValue], prediction: JsonObject, classes: Sequence[str]
    ) -> Self:
        """Take the probabilities of the prediction, which are in descending order."""
        shares = prediction["probabilities"]
        return cls(id=id, inputs=inputs, classes=tuple(shares), probabilities=tuple(shares.values()))

    @property
    def top(self) -> str:
        """Name of the likeliest class."""
        return self.classes[0]

    def __str__(self) -> str:
        return ", ".join(f"{name} {p:.3f}" for name, p in zip(self.classes, self.probabilities, strict=True))

    def select(self, top_k: int | None = None, threshold: float | None = None) -> Self:
        """Return the likeliest ``top_k`` classes only."""
        super().select(threshold=threshold)
        return replace(self, classes=self.classes[:top_k], probabilities=self.probabilities[:top_k])

    def to_dict(self) -> JsonObject:
        """Return id, ``class``, and ``probabilities`` by name."""
        shares = dict(zip(self.classes, self.probabilities, strict=True))
        return {"id": self.id, "class": self.top, "probabilities": shares}

    def to_rows(self) -> list[JsonObject]:
        """Return one row of a table: ``class``, ``probability``, ``class_2``, ``probability_2`` and so on."""
        row: JsonObject = {"id": self.id}
        for number, (name, share) in enumerate(zip(self.classes, self.probabilities, strict=True), start=1):
            ending = f"_{number}" if number > 1 else ""
            row |= {f"class{ending}": name, f"probability{ending}": share}
        return [row]

    def plot(self, truth: JsonObject | None = None, size: int | None = None) -> Image.Image:
        """Draw a bar for each class below the input; ``truth`` has ``class`` and, where known, its ``probability``."""
        from onepeace_pl.results.drawing import Line, captioned, picture_of_all, texts_of

        lines = texts_of(self.inputs)
        true = None if truth is None else truth["class"]
        if truth is not None:
            said = f" ({truth['probability']:.3f})" if "probability" in truth else ""
            lines.append(Line(f"true: {true}{said}", true=True))
        for name, share in zip(self.classes, self.probabilities, strict=True):
            lines.append(Line(name, share, true=name == true))
        return captioned(picture_of_all(self.inputs), lines, size)


@dataclass(frozen=True, kw_only=True)
class MultiLabelResult(Result):
    """Result of classification with any number of classes.

    Attributes:
        classes: Names of the classes with a probability of at least ``threshold``.
        probabilities: Probability of each class by name, in the order of their indices.
        threshold: The threshold.
    """

    classes: tuple[str, ...]
    probabilities: Mapping[str, float]
    threshold: float = HALF

    @classmethod
    def from_prediction(
        cls, id: str, inputs: Mapping[str, RawValue], prediction: JsonObject, classes: Sequence[str]
    ) -> Self:
        """Take classes and probabilities of the prediction, whose threshold is a half."""
        return cls(
            id=id,
            inputs=inputs,
            classes=tuple(prediction["classes"]),
            probabilities=prediction["probabilities"],
        )

    def __str__(self) -> str:
        return ", ".join(f"{name} {self.probabilities[name]:.3f}" for name in self.classes) or "no class"

    def select(self, top_k: int | None = None, threshold: float | None = None) -> Self:
        """Return the classes with a probability of at least ``threshold``."""
        super().select(top_k=top_k)
        if threshold is None:
            return self
        check_threshold(threshold)
        chosen = tuple(name for name, share in self.probabilities.items() if share >= threshold)
        return replace(self, classes=chosen, threshold=threshold)

    def to_dict(self) -> JsonObject:
        """Return id, ``classes``, and ``probabilities`` by name."""
        return {"id": self.id, "classes": list(self.classes), "probabilities": dict(self.probabilities)}

    def to_rows(self) -> list[JsonObject]:
        """Return one row of a table: ``classes`` with commas, and a column of probabilities for each class."""
        return [{"id": self.id, "classes": ",".join(self.classes), **self.probabilities}]

    def plot(self, truth: JsonObject | None = None, size: int | None = None) -> Image.Image:
        """Draw a bar for each of the likeliest classes below the input; ``truth`` has ``classes``."""
        from onepeace_pl.results.drawing import Line, captioned, picture_of_all, texts_of

        lines, true = texts_of(self.inputs), [] if truth is None else truth["classes"]
        if truth is not None:
            lines.append(Line(f"true: {', '.join(true) or 'no class'}", true=True))
        best = sorted(self.probabilities.items(), key=lambda item: -item[1])
        best = best[: MOST_BARS if size is None else FEW_BARS]
        lines += [Line(name, share, true=name in true) for name, share in best]
        return captioned(picture_of_all(self.inputs), lines, size)
