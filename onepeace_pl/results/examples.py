"""Examples of predictions with what is true: the worst errors, and samples of wrong and right ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onepeace_pl.results.base import Result
from onepeace_pl.utils.json_files import JsonObject


@dataclass(frozen=True)
class Example:
    """Prediction for a row with what is true.

    Attributes:
        index: Index of the row in its source.
        prediction: The prediction in plain values.
        truth: What is true, in the form of a prediction.
        error: How wrong the prediction is.
        right: Whether it is right; None where there is no such thing, as in regression.
    """

    index: int
    prediction: JsonObject
    truth: JsonObject
    error: float
    right: bool | None = None


@dataclass(frozen=True)
class Examples:
    """Examples of an evaluation set.

    Attributes:
        result_type: Type of the results that predictions become.
        classes: Class names in the order of their indices.
        worst: The worst errors, the worst first.
        wrong: A sample of other wrong predictions.
        right: A sample of right ones; of all, where there are no right ones.
    """

    result_type: type[Result]
    classes: Sequence[str]
    worst: tuple[Example, ...]
    wrong: tuple[Example, ...]
    right: tuple[Example, ...]
