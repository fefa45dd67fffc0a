"""TriWorld for tasks with one answer a row: classes, boxes, questions, statements, clips.

A row is made of one scene (a statement of two); which question is asked of it, and in what words, changes from epoch
to epoch, and is the first one in evaluation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, overload

import numpy as np
from numpy.typing import NDArray

from onepeace_pl.data.batches import Frames, Row
from onepeace_pl.data.sources.choices import choice_texts
from onepeace_pl.triworld.image import regions
from onepeace_pl.triworld.image.clip import CLIP_CLASSES, film
from onepeace_pl.triworld.image.regions import SEMANTIC_CLASSES, instance_masks, mask_boxes, semantic_mask
from onepeace_pl.triworld.language.expressions import Expression, label_draws, referring_expressions
from onepeace_pl.triworld.language.questions import BOTH, Question, answers, questions_about
from onepeace_pl.triworld.language.statements import Statement, balanced_statement
from onepeace_pl.triworld.source import SceneRows
from onepeace_pl.triworld.world.draws import Draws
from onepeace_pl.triworld.world.factors import BACKGROUNDS, KINDS
from onepeace_pl.triworld.world.scene import Scene
from onepeace_pl.triworld.world.world import Law, World

Kind = Literal[
    "class", "classes", "background", "box", "choices", "answers", "truth", "clip", "mask", "objects"
]
_PURPOSE: Final = 1000  # label draws below serve what is drawn once for a scene
_RIGHTS: Final = 25  # one more than the scenes among which the second picture of a pair is chosen


@dataclass(frozen=True)
class Rendering:
    """How scenes become rows.

    Attributes:
        fields: Modalities of a row besides texts that belong to the label.
        image_size: Side of pictures in pixels.
        seconds: Length of sounds.
        frames: Frames of a clip.
    """

    fields: tuple[str, ...] = ("image",)
    image_size: int = 48
    seconds: float = 1.0
    frames: int = 4


class Remembered(Sequence[Scene]):
    """Scenes that are drawn once; a copy for another process starts with none."""

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self._scenes = scenes
        self._drawn: dict[int, Scene] = {}

    def __len__(self) -> int:
        return len(self._scenes)

    @overload
    def __getitem__(self, index: int) -> Scene: ...
    @overload
    def __getitem__(self, index: slice) -> list[Scene]: ...
    def __getitem__(self, index: int | slice) -> Scene | list[Scene]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if index not in self._drawn:
            self._drawn[index] = self._scenes[index]
        return self._drawn[index]

    def __getstate__(self) -> dict[str, Any]:
        return {"_scenes": self._scenes, "_drawn": {}}


class LabelledScenes(ABC):
    """Rows of one split, one a scene; what they ask for is said by a subclass.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        size: Number of rows.
        rendering: How scenes become rows.
        objects: Fewest and most objects of a scene, None for what suits the label.
        seed: Of the world.
    """

    takes_epoch = True
    classes: tuple[str, ...] = ()
    objects: ClassVar[tuple[int, int]] = (1, 2)
    texts_of_label: ClassVar[bool] = True

    def __init__(
        self,
        split: str,
        size: int,
        rendering: Rendering = Rendering(),
        objects: tuple[int, int] | None = None,
        seed: int = 0,
    ) -> None:
        self.split, self.size, self.rendering = split, size, rendering
        novelty: Literal["exclude", "include"] = "exclude" if split == "train" else "include"
        law = Law(objects or self.objects, novelty)
        self.scenes = Remembered(World(split, size, law, seed))
        self._rows = SceneRows(
            self.scenes,
            rendering.fields,
            image_size=rendering.image_size,
            seconds=rendering.seconds,
            seed=seed,
        )
        self.modalities = (*rendering.fields, *(("text",) if self.texts_of_label else ()))

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, key: int | tuple[int, int]) -> Row:
        """Return a row by number, or by (epoch, number): every epoch may ask something else."""
        epoch, index = (0, key) if isinstance(key, int | np.integer) else key
        if not 0 <= index < self.size:
            raise IndexError(f"row {index} of {self.size}")
        return self.row(int(index), epoch)

    @abstractmethod
    def row(self, index: int, epoch: int) -> Row:
        """Return a row."""

    def media(self, index: int) -> Row:
        """Return the row of a scene without label: its picture, its sound."""
        return self._rows[index]

    def draws(self, scene: Scene, epoch: int) -> Draws:
        """Return the stream from which a scene's question of an epoch is drawn."""
        return label_draws(scene, _PURPOSE + epoch)


class ClassScenes(LabelledScenes):
    """``class``: the kind of the only object."""

    classes = KINDS
    objects = (1, 1)
    texts_of_label = False

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with its class."""
        row = self.media(index)
        return Row(row.id, row.fields, {"class": KINDS.index(self.scenes[index].objects[0].kind)})


class ClassesScenes(LabelledScenes):
    """``classes``: the kinds of one to three objects."""

    classes = KINDS
    objects = (1, 3)
    texts_of_label = False

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with its classes."""
        row = self.media(index)
        return Row(row.id, row.fields, {"classes": self.kinds(index)})

    def kinds(self, index: int) -> list[int]:
        """Return the classes of a row."""
        return sorted({KINDS.index(thing.kind) for thing in self.scenes[index].objects})


class BackgroundScenes(LabelledScenes):
    """``class``: the background of a scene, from a sentence that may leave it out."""

    classes = BACKGROUNDS
    texts_of_label = False

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with its class."""
        row = self._rows[(epoch, index)]
        return Row(row.id, row.fields, {"class": BACKGROUNDS.index(self.scenes[index].background)})

    def says(self, index: int) -> bool:
        """Return whether the sentence of a row names the background."""
        return self._rows.content(index).background is not None


class BoxScenes(LabelledScenes):
    """``box``: where the object is that a phrase singles out."""

    objects = (1, 3)

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with its phrase and box."""
        row, scene = self.media(index), self.scenes[index]
        said = self.expression(index, epoch)
        side = self.rendering.image_size
        box = regions.boxes(scene, side)[said.target]
        labels = {"box": tuple(float(value) for value in box), "extent": (side, side)}
        return Row(row.id, {**row.fields, "text": said.text}, labels)

    def expression(self, index: int, epoch: int = 0) -> Expression:
        """Return the phrase of a row."""
        scene = self.scenes[index]
        return self.draws(scene, epoch).choice(referring_expressions(scene))


class QuestionScenes(LabelledScenes):
    """Base of rows with a question that can be answered by what the row has."""

    objects = (1, 2)

    def question(self, index: int, epoch: int = 0) -> Question:
        """Return the question of a row; where there is sound and picture, half of them need both."""
        scene, there = self.scenes[index], frozenset(self.rendering.fields) & BOTH
        suited = [q for q in questions_about(scene) if q.needs <= there or "image or audio" in q.needs]
        draws = self.draws(scene, epoch)
        linked = [question for question in suited if question.needs == BOTH]
        if linked and draws.chance(0.5):
            suited = linked
        topics = list(dict.fromkeys(question.topic for question in suited))
        topic = draws.choice(topics)
        return draws.choice([question for question in suited if question.topic == topic])


class ChoiceScenes(QuestionScenes):
    """``answer``: the right one of four choices."""

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with its choices, each behind the question."""
        row, asked = self.media(index), self.question(index, epoch)
        choices = self.choices(asked, index, epoch)
        text = choice_texts(asked.text, choices)
        labels = {"answer": choices.index(asked.answer), "choices": choices, "topic": asked.topic}
        return Row(row.id, {**row.fields, "text": text}, labels)

    def choices(self, asked: Question, index: int, epoch: int = 0) -> list[str]:
        """Return the choices of a row's question in the order in which they are read."""
        return self.draws(self.scenes[index], epoch + _PURPOSE).shuffled([asked.answer, *asked.wrong])


class AnswerScenes(QuestionScenes):
    """``answers``: the right one of a vocabulary."""

    classes = answers()

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with its question and answer."""
        row, asked = self.media(index), self.question(index, epoch)
        labels = {"answers": {asked.answer: 1.0}, "topic": asked.topic}
        return Row(row.id, {**row.fields, "text": asked.text}, labels)


class TruthScenes(LabelledScenes):
    """``truth``: whether a statement holds of two pictures."""

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with two pictures and a statement."""
        right, said = self._said(index, epoch)
        pictures = tuple(self._rows[place].fields["image"] for place in (index, right))
        labels = {"truth": said.truth, "topic": said.topic}
        return Row(self.scenes[index].id, {"image": pictures, "text": said.text}, labels)

    def statement(self, index: int, epoch: int = 0) -> Statement:
        """Return the statement of a row."""
        return self._said(index, epoch)[1]

    def _said(self, index: int, epoch: int) -> tuple[int, Statement]:
        """Return the row of the right picture, one of those that follow, and the statement."""
        rights = [(index + number) % self.size for number in range(1, min(_RIGHTS, self.size))]
        chosen, said = balanced_statement(self.scenes[index], [self.scenes[r] for r in rights], epoch)
        return rights[chosen], said


class ClipScenes(LabelledScenes):
    """``class``: direction and speed of what moves in a clip; ``image`` holds its frames."""

    classes = CLIP_CLASSES
    texts_of_label = False

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with the frames of a clip."""
        scene = self.scenes[index]
        clip = film(scene, self.rendering.frames, self.rendering.image_size)
        return Row(scene.id, {"image": Frames(clip.frames)}, {"class": clip.label})


class MaskScenes(LabelledScenes):
    """``mask``: the kind of the object, or else of the background, at each pixel."""

    classes = SEMANTIC_CLASSES
    objects = (1, 4)
    texts_of_label = False

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with its mask."""
        row = self.media(index)
        return Row(row.id, row.fields, {"mask": self.mask(index)})

    def mask(self, index: int) -> NDArray[np.uint8]:
        """Return the mask of a row."""
        return semantic_mask(self.scenes[index], self.rendering.image_size)


class ObjectScenes(LabelledScenes):
    """``objects``: kind, box and outline of each object that can be seen."""

    classes = KINDS
    objects = (1, 4)
    texts_of_label = False

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with its objects."""
        row, side = self.media(index), self.rendering.image_size
        return Row(row.id, row.fields, {"objects": self.things(index), "extent": (side, side)})

    def things(self, index: int) -> list[dict[str, Any]]:
        """Return the objects of a row."""
        scene = self.scenes[index]
        masks = instance_masks(scene, self.rendering.image_size)
        return [
            {"class": KINDS.index(thing.kind), "box": tuple(map(float, box)), "outline": mask}
            for thing, box, mask in zip(scene.objects, mask_boxes(masks), masks, strict=True)
            if mask.any()
        ]


ROWS: Final[dict[Kind, type[LabelledScenes]]] = {
    "class": ClassScenes,
    "classes": ClassesScenes,
    "background": BackgroundScenes,
    "box": BoxScenes,
    "choices": ChoiceScenes,
    "answers": AnswerScenes,
    "truth": TruthScenes,
    "clip": ClipScenes,
    "mask": MaskScenes,
    "objects": ObjectScenes,
}
