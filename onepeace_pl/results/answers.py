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

LEAST_SIDE = 320  # of an image that boxes are drawn into, pixels
MOST_ANSWERS = 4


@dataclass(frozen=True, kw_only=True)
class AnswerResult(Result):
    """Answer to a question, of a vocabulary of answers.

    Attributes:
        answer: The answer.
        probability: Its probability.
    """

    answer: str
    probability: float

    @classmethod
    def from_prediction(
        cls, id: str, inputs: Mapping[str, RawValue], prediction: JsonObject, classes: Sequence[str]
    ) -> Self:
        """Take the answer and its probability."""
        return cls(id=id, inputs=inputs, answer=prediction["answer"], probability=prediction["probability"])

    def __str__(self) -> str:
        return self.answer

    def to_dict(self) -> JsonObject:
        """Return id, ``answer`` and ``probability``."""
        return {"id": self.id, "answer": self.answer, "probability": self.probability}

    def plot(self, truth: JsonObject | None = None, size: int | None = None) -> Image.Image:
        """Draw question and answer below the evidence; ``truth`` has ``answers``, answer to confidence."""
        from onepeace_pl.results.drawing import Line, captioned, picture_of_all, texts_of

        true = {} if truth is None else truth["answers"]
        lines = texts_of(self.inputs)
        if truth is not None:
            best = sorted(true.items(), key=lambda item: -item[1])[:MOST_ANSWERS]
            said = ", ".join(name if share == 1 else f"{name} ({share:.2g})" for name, share in best)
            lines.append(Line(f"true: {said or 'none of the vocabulary'}", true=True))
        lines.append(Line(f"answer: {self.answer}", self.probability, true=self.answer in true))
        return captioned(picture_of_all(self.inputs), lines, size)


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

    def plot(self, truth: JsonObject | None = None, size: int | None = None) -> Image.Image:
        """Draw the choices below the evidence, and the best one at the end; ``truth`` has ``answer``, its index."""
        from onepeace_pl.results.drawing import Line, captioned, picture_of_all

        true = None if truth is None else truth["answer"]
        choices = [
            Line(f"{number}: {text}  [{score:.2f}]", true=number == true)
            for number, (text, score) in enumerate(zip(self.inputs["text"], self.scores, strict=True))
        ]
        lines = [] if true is None else [Line(f"true: {true}", true=True)]
        lines.append(Line(f"answer: {self.answer}" if lines else f"{self.answer}: {self.text}"))
        return captioned(picture_of_all(self.inputs), [*choices, *lines], size)


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

    def plot(self, truth: JsonObject | None = None, size: int | None = None) -> Image.Image:
        """Draw statement and verdict below the images; ``truth`` has ``truth``."""
        from onepeace_pl.results.drawing import Line, captioned, picture_of_all, texts_of

        true = [] if truth is None else [Line(f"truth: {str(truth['truth']).lower()}", true=True)]
        said = Line(f"predicted: {self}" if true else str(self))
        return captioned(picture_of_all(self.inputs), [*texts_of(self.inputs), *true, said], size)


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

    def plot(self, truth: JsonObject | None = None, size: int | None = None) -> Image.Image:
        """Draw the box (red) into the image, and the phrase below it; ``truth`` has ``box`` (green)."""
        from PIL import Image, ImageDraw

        from onepeace_pl.results.drawing import RED, TRUE, Line, captioned, picture_of, scaled, texts_of

        picture = picture_of(self.inputs) or Image.new("RGB", (1, 1))
        if size is None:
            times: float = -(-LEAST_SIDE // picture.width)  # lines would hide what a small image shows
        else:
            times = min(size / picture.width, size / picture.height)
        picture = scaled(picture, times)
        boxes = [(self.box, RED)] if truth is None else [(truth["box"], TRUE), (self.box, RED)]
        for box, colour in boxes:
            (x0, x1), (y0, y1) = sorted(box[::2]), sorted(box[1::2])
            corners = [times * value for value in (x0, y0, x1, y1)]
            ImageDraw.Draw(picture).rectangle(corners, outline=colour, width=max(3, picture.width // 120))
        lines = texts_of(self.inputs)
        if truth is not None:
            lines.append(Line(f"IoU {_iou(self.box, truth['box']):.2f}"))
        return captioned(picture, lines, size)


def _iou(one: Sequence[float], two: Sequence[float]) -> float:
    """Return the intersection over union of two boxes; a reversed one has no area."""
    shared, *own = (
        max(0.0, x1 - x0) * max(0.0, y1 - y0)
        for x0, y0, x1, y1 in (
            (*map(max, one[:2], two[:2]), *map(min, one[2:], two[2:])),
            one,
            two,
        )
    )
    return shared / max(sum(own) - shared, 1e-9)
