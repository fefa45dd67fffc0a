"""TriWorld for tasks with one answer a row: classification, grounding, questions, statements, clips."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onepeace_pl.data.datamodule import SourceDataModule
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.labels.transforms import JointTransform
from onepeace_pl.data.needs import Split
from onepeace_pl.modalities import ImageProcessor
from onepeace_pl.modalities.base import Processor
from onepeace_pl.triworld.datamodule import world_processors, world_texts
from onepeace_pl.triworld.labelled import ROWS, Kind, LabelledScenes, Rendering
from onepeace_pl.triworld.optimum.references import references


class TriWorldTask(SourceDataModule):
    """Generated rows with one answer each; chance, a blind baseline and the best achievable are known.

    Args:
        label: What is asked: ``class`` (the kind of the only object), ``classes`` (the kinds of one to three),
            ``background`` (from a sentence), ``box`` (of the object that a phrase singles out), ``choices`` or
            ``answers`` (to a question), ``truth`` (of a statement over two pictures), ``clip`` (direction and
            speed of what moves), ``mask`` (the kind of object or background at each pixel), ``objects`` (kinds,
            boxes and outlines).
        fields: Modalities of a row, besides the texts that belong to the label: [image], [audio] or both.
        size: Number of training rows.
        evaluation_size: Number of rows for validation, and for testing.
        objects: Fewest and most objects of a scene, up to four; None takes what suits the label.
        image_size: Side of pictures in pixels, 48 or more and a multiple of 16.
        seconds: Length of sounds, 1 to 10.
        frames: Frames of a clip.
        world_seed: Seed of the world.
        processors: Replaces the processors of some modalities, or adds others.
        prompts: See :class:`onepeace_pl.data.datamodule.SourceDataModule`.
        transform: See there.
        batch_size: Training rows a step and process.
        eval_batch_size: Rows at a time in evaluation; None takes `batch_size`.
        num_workers: Processes that prepare rows, for each loader.
        seed: Seed of the order and of everything random in preparing; None takes the run's.
        pin_memory: Copy batches into page-locked memory; None does so where there is a GPU.
        vocabulary_size: Greatest size of the trained vocabulary, on sentences of all kinds.
    """

    def __init__(
        self,
        label: Kind = "class",
        fields: Sequence[str] = ("image",),
        size: int = 8192,
        evaluation_size: int = 512,
        objects: tuple[int, int] | None = None,
        image_size: int = 48,
        seconds: float = 1.0,
        frames: int = 4,
        world_seed: int = 0,
        processors: dict[str, Processor] | None = None,
        prompts: list[str] | None = None,
        transform: JointTransform | None = None,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        num_workers: int = 0,
        seed: int | None = None,
        pin_memory: bool | None = None,
        vocabulary_size: int = 768,
    ) -> None:
        if label not in ROWS:
            raise ValueError(f"label={label!r} is unknown; choose from {', '.join(ROWS)}")
        if ROWS[label].texts_of_label and "text" in fields:
            raise ValueError(f"fields: label {label!r} brings its own texts; leave text out")
        self.label, self.evaluation_size, self.objects, self.world_seed = (
            label,
            evaluation_size,
            objects,
            world_seed,
        )
        self.rendering = Rendering(tuple(fields), image_size, seconds, frames)
        super().__init__(
            processors={
                **world_processors(image_size, seconds),
                "image": ImageProcessor(image_size, train_crop=None),  # places and boxes matter
                **(processors or {}),
            },
            train=self.rows("train", size),
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
            pin_memory=pin_memory,
            vocabulary_size=vocabulary_size,
            prompts=prompts,
            transform=transform,
        )

    def rows(self, split: str, size: int) -> LabelledScenes:
        """Return rows of a split."""
        return ROWS[self.label](split, size, self.rendering, self.objects, self.world_seed)

    def make_evaluation_sets(self, split: Split) -> list[EvaluationSet]:
        """Make the one set of the split, with what its numbers stand beside."""
        rows = self.rows("val" if split == "validation" else "test", self.evaluation_size)
        beside = references(rows, self.rows("train", self.evaluation_size * 4))
        return [EvaluationSet(name="triworld", rows=rows, references=beside, prompts=self.class_prompts())]

    def texts(self, modality: str) -> Iterable[str]:
        """Return sentences of all kinds, whatever the label: one tokenizer for pretraining and all tasks."""
        return world_texts(self.world_seed)
