"""Labelled TriWorld rows: classification, grounding, question answering, visual reasoning, video, dense labels.

A row has one scene (a statement two). Questions and expressions vary from epoch to epoch; evaluation takes those of
the first.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, overload

import numpy as np
from numpy.typing import NDArray

from onepeace_pl.data.source import Frames, Labels, Row, Source
from onepeace_pl.data.sources.choices import choice_texts
from onepeace_pl.triworld.image import regions
from onepeace_pl.triworld.image.regions import SEMANTIC_CLASSES, instance_masks, mask_boxes, semantic_mask
from onepeace_pl.triworld.image.render import CLIP_CLASSES, render_clip
from onepeace_pl.triworld.language.expressions import ReferringExpression, label_rng, referring_expressions
from onepeace_pl.triworld.language.questions import (
    BOTH,
    Question,
    Statement,
    answers,
    balanced_statement,
    questions_about,
)
from onepeace_pl.triworld.source import SceneRows
from onepeace_pl.triworld.world.factors import BACKGROUNDS, KINDS
from onepeace_pl.triworld.world.laws import Law
from onepeace_pl.triworld.world.numerics import KeyedRandom
from onepeace_pl.triworld.world.scene import Scene
from onepeace_pl.triworld.world.world import World

LabelType = Literal[
    "class", "classes", "background", "box", "choices", "answers", "truth", "clip", "mask", "objects"
]
_PURPOSE: Final = 1000  # random streams below are those of labels drawn once for a scene
_RIGHTS: Final = 25  # one more than the candidates of a pair's second image


@dataclass(frozen=True)
class Rendering:
    """Rendering options.

    Attributes:
        modalities: Modalities of a row, without texts of the label.
        image_size: Side of images in pixels.
        seconds: Duration of audio.
        frames: Frames of a video clip.
    """

    modalities: tuple[str, ...] = ("image",)
    image_size: int = 48
    seconds: float = 1.0
    frames: int = 4


class CachedScenes(Sequence[Scene]):
    """Cache of sampled scenes; a copy for another process starts empty."""

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self._scenes = scenes
        self._cache: dict[int, Scene] = {}

    def __len__(self) -> int:
        return len(self._scenes)

    @overload
    def __getitem__(self, index: int) -> Scene: ...
    @overload
    def __getitem__(self, index: slice) -> list[Scene]: ...
    def __getitem__(self, index: int | slice) -> Scene | list[Scene]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if index not in self._cache:
            self._cache[index] = self._scenes[index]
        return self._cache[index]

    def __getstate__(self) -> dict[str, Any]:
        return {"_scenes": self._scenes, "_cache": {}}


class LabelledScenes(Source):
    """Rows of one split, one a scene; subclasses add the label.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        size: Number of rows.
        rendering: Rendering options.
        objects: Least and greatest number of objects of a scene; None takes the label's default.
        seed: Seed of the scenes.
    """

    objects: ClassVar[tuple[int, int]] = (1, 2)
    brings_text: ClassVar[bool] = True

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
        self.scenes = CachedScenes(World(split, size, law, seed))
        self._rows = SceneRows(
            self.scenes,
            rendering.modalities,
            image_size=rendering.image_size,
            seconds=rendering.seconds,
            seed=seed,
        )
        self.modalities = (*rendering.modalities, *(("text",) if self.brings_text else ()))

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int, /) -> Row:
        return self.training_row(index, 0)

    def training_row(self, index: int, epoch: int) -> Row:
        """Return a row of an epoch: questions vary from epoch to epoch."""
        if not 0 <= index < self.size:
            raise IndexError(f"row {index} of {self.size}")
        return self.row(index, epoch)

    @abstractmethod
    def row(self, index: int, epoch: int) -> Row:
        """Return a row."""

    def media(self, index: int) -> Row:
        """Return the row of a scene without label."""
        return self._rows[index]

    def rng(self, scene: Scene, epoch: int) -> KeyedRandom:
        """Return the random number generator of a scene's label in an epoch."""
        return label_rng(scene, _PURPOSE + epoch)


class ClassScenes(LabelledScenes):
    """Image or audio classification (``class``): the kind of the only object."""

    classes = KINDS
    objects = (1, 1)
    brings_text = False

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with its class."""
        row = self.media(index)
        return Row(row.id, row.fields, {"class": KINDS.index(self.scenes[index].objects[0].kind)})


class ClassesScenes(LabelledScenes):
    """Multi-label classification (``classes``): the kinds of one to three objects."""

    classes = KINDS
    objects = (1, 3)
    brings_text = False

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with its classes."""
        row = self.media(index)
        return Row(row.id, row.fields, {"classes": self.kinds(index)})

    def kinds(self, index: int) -> list[int]:
        """Return the classes of a row."""
        return sorted({KINDS.index(thing.kind) for thing in self.scenes[index].objects})


class BackgroundScenes(LabelledScenes):
    """Text classification (``background``): the background of a caption, which may omit it."""

    classes = BACKGROUNDS
    brings_text = False

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with its class."""
        row = self._rows.training_row(index, epoch)
        return Row(row.id, row.fields, {"class": BACKGROUNDS.index(self.scenes[index].background)})

    def is_mentioned(self, index: int) -> bool:
        """Return whether the caption of a row mentions the background."""
        return self._rows.content(index).background is not None


class BoxScenes(LabelledScenes):
    """Visual grounding (``box``): the bounding box of a referring expression."""

    objects = (1, 3)

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with its expression and box."""
        row, scene = self.media(index), self.scenes[index]
        expression = self.expression(index, epoch)
        side = self.rendering.image_size
        box = regions.boxes(scene, side)[expression.target]
        labels = {"box": tuple(float(value) for value in box), "image_size": (side, side)}
        return Row(row.id, {**row.fields, "text": expression.text}, labels)

    def expression(self, index: int, epoch: int = 0) -> ReferringExpression:
        """Return the referring expression of a row."""
        scene = self.scenes[index]
        return self.rng(scene, epoch).choice(referring_expressions(scene))


class QuestionScenes(LabelledScenes):
    """Question answering: base class of rows with a question that their modalities can answer."""

    objects = (1, 2)

    def question(self, index: int, epoch: int = 0) -> Question:
        """Return the question of a row; of rows with audio and image, half need both."""
        scene, present = self.scenes[index], frozenset(self.rendering.modalities) & BOTH
        suited = [q for q in questions_about(scene) if q.needs <= present or "image or audio" in q.needs]
        rng = self.rng(scene, epoch)
        cross_modal = [question for question in suited if question.needs == BOTH]
        if cross_modal and rng.bernoulli(0.5):
            suited = cross_modal
        types = list(dict.fromkeys(question.question_type for question in suited))
        chosen = rng.choice(types)
        return rng.choice([question for question in suited if question.question_type == chosen])


class ChoiceScenes(QuestionScenes):
    """Multiple-choice question answering (``choices``): the correct one of four answers."""

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with its choices, each appended to the question."""
        row, asked = self.media(index), self.question(index, epoch)
        choices = self.choices(asked, index, epoch)
        text = choice_texts(asked.text, choices)
        labels = {"answer": choices.index(asked.answer), "choices": choices, "group": asked.question_type}
        return Row(row.id, {**row.fields, "text": text}, labels)

    def choices(self, asked: Question, index: int, epoch: int = 0) -> list[str]:
        """Return the choices of a row's question, shuffled."""
        return self.rng(self.scenes[index], epoch + _PURPOSE).shuffled([asked.answer, *asked.distractors])


class AnswerScenes(QuestionScenes):
    """Open question answering (``answers``): the correct one of an answer vocabulary."""

    classes = answers()

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with its question and answer."""
        row, asked = self.media(index), self.question(index, epoch)
        labels = {"answers": {asked.answer: 1.0}, "group": asked.question_type}
        return Row(row.id, {**row.fields, "text": asked.text}, labels)


class TruthScenes(LabelledScenes):
    """Visual reasoning (``truth``): whether a statement about two images holds."""

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with two images and a statement."""
        right, claim = self._pair(index, epoch)
        images = tuple(self._rows[place].fields["image"] for place in (index, right))
        labels = {"truth": claim.truth, "group": claim.question_type}
        return Row(self.scenes[index].id, {"image": images, "text": claim.text}, labels)

    def statement(self, index: int, epoch: int = 0) -> Statement:
        """Return the statement of a row."""
        return self._pair(index, epoch)[1]

    def _pair(self, index: int, epoch: int) -> tuple[int, Statement]:
        """Return the row of the right image, one of those that follow, and the statement."""
        rights = [(index + number) % self.size for number in range(1, min(_RIGHTS, self.size))]
        chosen, claim = balanced_statement(self.scenes[index], [self.scenes[r] for r in rights], epoch)
        return rights[chosen], claim


class ClipScenes(LabelledScenes):
    """Video classification (``clip``): direction and speed of the motion; ``image`` holds the frames."""

    classes = CLIP_CLASSES
    brings_text = False

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with the frames of a clip."""
        scene = self.scenes[index]
        clip = render_clip(scene, self.rendering.frames, self.rendering.image_size)
        return Row(scene.id, {"image": Frames(clip.frames)}, {"class": clip.label})


class MaskScenes(LabelledScenes):
    """Semantic segmentation (``mask``): the kind of the object, or the background, of each pixel."""

    classes = SEMANTIC_CLASSES
    objects = (1, 4)
    brings_text = False

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with its mask."""
        row = self.media(index)
        return Row(row.id, row.fields, {"mask": self.mask(index)})

    def mask(self, index: int) -> NDArray[np.uint8]:
        """Return the mask of a row."""
        return semantic_mask(self.scenes[index], self.rendering.image_size)


class ObjectScenes(LabelledScenes):
    """Object detection and instance segmentation (``objects``): kind, box and mask of each visible object."""

    classes = KINDS
    objects = (1, 4)
    brings_text = False

    def row(self, index: int, epoch: int) -> Row:
        """Return a row with its objects."""
        row, side = self.media(index), self.rendering.image_size
        return Row(row.id, row.fields, {"objects": self.annotations(index), "image_size": (side, side)})

    def annotations(self, index: int) -> list[Labels]:
        """Return the annotated objects of a row."""
        scene = self.scenes[index]
        masks = instance_masks(scene, self.rendering.image_size)
        return [
            {"class": KINDS.index(thing.kind), "box": tuple(map(float, box)), "segmentation": mask}
            for thing, box, mask in zip(scene.objects, mask_boxes(masks), masks, strict=True)
            if mask.any()
        ]


ROWS: Final[dict[LabelType, type[LabelledScenes]]] = {
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
