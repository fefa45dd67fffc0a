"""Base class of results, and the result of a task that declares no other."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import RawValue
from onepeace_pl.utils.json_files import JsonObject

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Result(ABC):
    """Result of a prediction for one input.

    Attributes:
        id: File name, or the number of the input from 0.
        inputs: The raw values by modality, as they were given.
    """

    id: str
    inputs: Mapping[str, RawValue] = field(repr=False, compare=False)

    @classmethod
    @abstractmethod
    def from_prediction(
        cls, id: str, inputs: Mapping[str, RawValue], prediction: JsonObject, classes: Sequence[str]
    ) -> Self:
        """Make the result of a task's prediction (:meth:`onepeace_pl.training.task.Task.predict`).

        Args:
            id: Id of the row.
            inputs: Raw values by modality.
            prediction: The prediction.
            classes: Class names in the order of their indices.
        """

    def select(self, top_k: int | None = None, threshold: float | None = None) -> Self:
        """Return the likeliest ``top_k`` classes only, or what scores at least ``threshold``.

        Raises:
            UserError: A result of this type has no such choice.
        """
        for name, value in (("top_k", top_k), ("threshold", threshold)):
            if value is not None:
                raise UserError(
                    f"{name}={value}: a {type(self).__name__} is chosen by no {name}; leave it out"
                )
        return self

    @abstractmethod
    def to_dict(self) -> JsonObject:
        """Return plain data: a line of the file that ``predict`` writes."""

    def to_rows(self) -> list[JsonObject]:
        """Return rows of a table: one, in which a list or mapping is JSON text."""
        return [
            {
                name: json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
                for name, value in self.to_dict().items()
            }
        ]

    @abstractmethod
    def plot(self, truth: JsonObject | None = None, size: int | None = None) -> Image.Image:
        """Draw the result: over its image, or below it.

        Args:
            truth: What is true, to be drawn beside it, in the form of a task's prediction.
            size: Width in pixels; None takes that of the image.
        """


def check_threshold(threshold: float) -> None:
    """Reject a threshold of probabilities or scores outside 0 to 1.

    Raises:
        UserError: It lies outside.
    """
    if not 0 <= threshold <= 1:
        raise UserError(f"threshold={threshold} must be a probability, 0 to 1")


@dataclass(frozen=True, kw_only=True)
class PlainResult(Result):
    """Result of a task that declares no type of its own.

    Attributes:
        values: The prediction in plain values.
    """

    values: JsonObject

    @classmethod
    def from_prediction(
        cls, id: str, inputs: Mapping[str, RawValue], prediction: JsonObject, classes: Sequence[str]
    ) -> Self:
        """Keep the prediction as it is."""
        return cls(id=id, inputs=inputs, values=prediction)

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.values.items())

    def to_dict(self) -> JsonObject:
        """Return the id and the values."""
        return {"id": self.id, **self.values}

    def plot(self, truth: JsonObject | None = None, size: int | None = None) -> Image.Image:
        """Draw the values below the inputs."""
        from onepeace_pl.results.drawing import Line, captioned, picture_of_all, texts_of

        lines = [Line(f"{name}: {value}") for name, value in self.values.items()]
        true = [Line(f"true {name}: {value}", true=True) for name, value in (truth or {}).items()]
        return captioned(picture_of_all(self.inputs), [*texts_of(self.inputs), *true, *lines], size)
