"""Results of question answering, visual reasoning and grounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from onepeace_pl.modalities.base import RawValue
from onepeace_pl.results.base import Result
from onepeace_pl.utils.json_files import JsonObject

if TYPE_CHECKING:
    from PIL import Image

RED = (230, 30, 30)


@dataclass(frozen=True, kw_only=True)
class AnswerResult(Result):
    """Answer to a question, of a vocabulary of answers.

    Attributes:
        answer: The answer.
    """

    answer: str

    @classmethod
    def from_prediction(
        cls, id: str, inputs: Mapping[str, RawValue], prediction: JsonObject, classes: Sequence[str]
    ) -> Self:
        """Take the answer."""
        return cls(id=id, inputs=inputs, answer=prediction["answer"])

    def __str__(self) -> str:
        return self.answer

    def to_dict(self) -> JsonObject:
        """Return id and ``answer``."""
        return {"id": self.id, "answer": self.answer}

    def plot(self) -> Image.Image:
        """Draw question and answer below the image."""
        from onepeace_pl.results.drawing import captioned, shown

        return captioned(shown(self.inputs), [self.answer])


@dataclass(frozen=True, kw_only=True)
class ChoiceResult(Result):
    """Best of several choices.

    Attributes:
        answer: Index of the best choice.
        text: Its text.
        scores: Score of each choice.
    """

    answer: int
    text: str
    scores: tuple[float, ...]

    @classmethod
    def from_prediction(
        cls, id: str, inputs: Mapping[str, RawValue], prediction: JsonObject, classes: Sequence[str]
    ) -> Self:
        """Take the scores, and the text of the best choice from the inputs."""
        best = prediction["answer"]
        return cls(
            id=id, inputs=inputs, answer=best, text=inputs["text"][best], scores=tuple(prediction["scores"])
        )

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> JsonObject:
        """Return id, ``answer`` and ``scores``."""
        return {"id": self.id, "answer": self.answer, "scores": list(self.scores)}

    def plot(self) -> Image.Image:
        """Draw the choices below the image, and the best one at the end."""
        from onepeace_pl.results.drawing import captioned, shown

        return captioned(shown(self.inputs), [f"{self.answer}: {self.text}"])


@dataclass(frozen=True, kw_only=True)
class StatementResult(Result):
    """Whether a statement holds.

    Attributes:
        truth: Whether it holds.
        probability: Probability that it holds.
    """

    truth: bool
    probability: float

    @classmethod
    def from_prediction(
        cls, id: str, inputs: Mapping[str, RawValue], prediction: JsonObject, classes: Sequence[str]
    ) -> Self:
        """Take verdict and probability."""
        return cls(id=id, inputs=inputs, truth=prediction["truth"], probability=prediction["probability"])

    def __str__(self) -> str:
        return f"{str(self.truth).lower()} ({self.probability:.3f})"

    def to_dict(self) -> JsonObject:
        """Return id, ``truth`` and ``probability``."""
        return {"id": self.id, "truth": self.truth, "probability": self.probability}

    def plot(self) -> Image.Image:
        """Draw statement and verdict below the images."""
        from onepeace_pl.results.drawing import captioned, shown

        return captioned(shown(self.inputs), [str(self)])


@dataclass(frozen=True, kw_only=True)
class BoxResult(Result):
    """Box of the object that a phrase refers to.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the upright image.
    """

    box: tuple[float, float, float, float]

    @classmethod
    def from_prediction(
        cls, id: str, inputs: Mapping[str, RawValue], prediction: JsonObject, classes: Sequence[str]
    ) -> Self:
        """Take the box."""
        x0, y0, x1, y1 = prediction["box"]
        return cls(id=id, inputs=inputs, box=(x0, y0, x1, y1))

    def __str__(self) -> str:
        return ", ".join(f"{value:.1f}" for value in self.box)

    def to_dict(self) -> JsonObject:
        """Return id and ``box``."""
        return {"id": self.id, "box": list(self.box)}

    def to_rows(self) -> list[JsonObject]:
        """Return one row of a table: id and a column for each coordinate."""
        return [{"id": self.id, **dict(zip(("x0", "y0", "x1", "y1"), self.box, strict=True))}]

    def plot(self) -> Image.Image:
        """Draw the box into the image, and the phrase below it."""
        from PIL import Image, ImageDraw

        from onepeace_pl.results.drawing import captioned, picture_of

        picture = picture_of(self.inputs) or Image.new("RGB", (1, 1))
        (x0, x1), (y0, y1) = sorted(self.box[::2]), sorted(self.box[1::2])
        ImageDraw.Draw(picture).rectangle((x0, y0, x1, y1), outline=RED, width=max(1, picture.width // 200))
        return captioned(picture, [str(self.inputs.get("text", ""))])
