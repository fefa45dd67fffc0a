"""TriWorld data modules: paired pretraining data with retrieval galleries, and labelled rows for one task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain

from onepeace_pl.data.datamodule import PairsDataModule, SourceDataModule
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.labels.transforms import JointTransform
from onepeace_pl.data.needs import Split
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import AudioProcessor, ImageProcessor, TextProcessor
from onepeace_pl.modalities.base import Processor, modality_of
from onepeace_pl.triworld import TriWorldSource
from onepeace_pl.triworld.labelled import ROWS, LabelledScenes, LabelType, Rendering
from onepeace_pl.triworld.language.captions import Caption, Templates
from onepeace_pl.triworld.optimum.galleries import STAGES, Pair, galleries
from onepeace_pl.triworld.optimum.references import references
from onepeace_pl.triworld.world.factors import KINDS

CARD_METADATA = {"license": "apache-2.0", "language": "en", "datasets": "triworld"}
"""Of models trained on TriWorld: the generated data have the package's licence."""

_TOKENIZER_SCENES = 2048  # scenes whose captions train the tokenizer, of each type of caption


class TriWorldDataModule(PairsDataModule):
    """Synthetic paired data for pretraining, and retrieval galleries; nothing is read or downloaded.

    Args:
        modalities: Modalities of a training row: [image, text] for the first stage, [audio, text] for the second.
        size: Number of training scenes.
        galleries: Retrieval galleries for validation and test; None takes those of the stage.
        gallery_size: Scenes in a gallery.
        novel_size: Scenes in a second gallery of held-out combinations; 0 for none.
        objects: Least and greatest number of objects of a scene, up to four.
        image_size: Side of images in pixels, 48 or more and a multiple of 16.
        seconds: Duration of audio, 1 to 10.
        world_seed: Seed of scenes and captions.
        caption: Type of training captions: "image", "audio" or "audiovisual"; None follows the modalities.
        vague: Fraction of vague training captions; None as `TriWorldSource`.
        templates: "train" or "held_out" caption templates in the galleries.
        labels: Further labels; see `onepeace_pl.triworld.source`.
        processors: Replaces the processors of some modalities, or adds others.
        batch_size: Training rows a step and process.
        eval_batch_size: Rows of a gallery at a time; None takes `batch_size`.
        num_workers: Processes that prepare rows, for each loader.
        seed: Seed of the order and of everything random in preparing; None takes the run's.
        pin_memory: Copy batches into page-locked memory; None does so where there is a GPU.
        vocabulary_size: Greatest size of the tokenizer's vocabulary. It is trained on captions of all types, so
            that every stage has the same.
    """

    card_metadata = CARD_METADATA

    def __init__(
        self,
        modalities: tuple[str, ...] = ("image", "text"),
        size: int = 4096,
        galleries: list[Pair] | None = None,
        gallery_size: int = 256,
        novel_size: int = 0,
        objects: tuple[int, int] = (1, 2),
        image_size: int = 64,
        seconds: float = 1.0,
        world_seed: int = 0,
        caption: Caption | None = None,
        vague: float | None = None,
        templates: Templates = "train",
        labels: tuple[str, ...] = (),
        processors: dict[str, Processor] | None = None,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        num_workers: int = 0,
        seed: int | None = None,
        pin_memory: bool | None = None,
        vocabulary_size: int = 768,
    ) -> None:
        self.modalities = tuple(modalities)
        self.gallery_names: tuple[Pair, ...] = (
            stage_galleries(modalities) if galleries is None else tuple(galleries)
        )
        self.gallery_size = gallery_size
        self.novel_size = novel_size
        self.objects = objects
        self.image_size = image_size
        self.seconds = seconds
        self.world_seed = world_seed
        self.templates: Templates = templates
        train = TriWorldSource(
            size=size,
            modalities=self.modalities,
            caption=caption or caption_of(modalities),
            image_size=image_size,
            seconds=seconds,
            objects=objects,
            seed=world_seed,
            vague=vague,
            labels=labels,
        )
        super().__init__(
            processors={**world_processors(image_size, seconds), **(processors or {})},
            train=train,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
            pin_memory=pin_memory,
            vocabulary_size=vocabulary_size,
            classes=list(KINDS) if {"class", "kinds"} & set(labels) else None,
        )

    def make_evaluation_sets(self, split: Split) -> list[EvaluationSet]:
        """Return the galleries of the stage, each with its best achievable recall."""
        return list(
            galleries(
                self.gallery_names,
                split="val" if split == "validation" else "test",
                size=self.gallery_size,
                novel_size=self.novel_size,
                objects=self.objects,
                image_size=self.image_size,
                seconds=self.seconds,
                seed=self.world_seed,
                templates=self.templates,
            )
        )

    def texts(self, modality: str) -> Iterable[str]:
        """Return captions of all types: one tokenizer for all stages."""
        least, greatest = self.objects  # perhaps a list
        return world_texts(self.world_seed, (least, greatest))


def world_processors(image_size: int, seconds: float) -> dict[str, Processor]:
    """Return the processors of all modalities."""
    return {
        "text": TextProcessor(),
        "image": ImageProcessor(image_size),
        "audio": AudioProcessor(max_seconds=seconds, min_seconds=min(1.0, seconds)),
    }


@lru_cache(maxsize=4)  # it takes a second, and every data module of a process asks for the same
def world_texts(seed: int, objects: tuple[int, int] = (1, 2)) -> tuple[str, ...]:
    """Return captions of all types, which train the tokenizer of every stage and task."""
    types: tuple[Caption, ...] = ("image", "audio")
    texts = (
        TriWorldSource(
            size=_TOKENIZER_SCENES, modalities=("text",), caption=each, objects=objects, seed=seed
        ).texts()
        for each in types
    )
    return tuple(chain.from_iterable(texts))


def caption_of(modalities: Sequence[str]) -> Caption:
    """Return the type of captions beside these modalities."""
    if "audio" in modalities:
        return "audiovisual" if "image" in modalities else "audio"
    return "image"


def stage_galleries(modalities: Sequence[str]) -> tuple[Pair, ...]:
    """Return the galleries of the stage that trains these modalities; none where there is no such stage."""
    if "audio" in modalities:
        return STAGES["audio_language"]
    read = set(map(modality_of, modalities))
    return STAGES["vision_language"] if read == {"image", "text"} else ()


class TriWorldTaskDataModule(SourceDataModule):
    """Synthetic labelled rows of one task, with chance, constant baseline and optimum of its metrics.

    Args:
        label: ``class`` (the kind of the only object), ``classes`` (the kinds of one to three), ``background``
            (from a caption), ``box`` (of a referring expression), ``choices`` or ``answers`` (to a question),
            ``truth`` (of a statement about two images), ``clip`` (action class of a video), ``mask`` (semantic
            segmentation), ``objects`` (object detection and instance segmentation).
        modalities: Modalities of a row, without texts of the label: [image], [audio] or both.
        size: Number of training rows.
        evaluation_size: Number of rows for validation, and for testing.
        objects: Least and greatest number of objects of a scene, up to four; None takes the label's default.
        image_size: Side of images in pixels, 48 or more and a multiple of 16.
        seconds: Duration of audio, 1 to 10.
        frames: Frames of a video clip.
        world_seed: Seed of the scenes.
        processors: Replaces the processors of some modalities, or adds others.
        prompts: See :class:`onepeace_pl.data.datamodule.SourceDataModule`.
        transform: See there.
        batch_size: Training rows a step and process.
        eval_batch_size: Rows at a time in evaluation; None takes `batch_size`.
        num_workers: Processes that prepare rows, for each loader.
        seed: Seed of the order and of everything random in preparing; None takes the run's.
        pin_memory: Copy batches into page-locked memory; None does so where there is a GPU.
        vocabulary_size: Greatest size of the tokenizer's vocabulary, trained on captions of all types.
    """

    card_metadata = CARD_METADATA

    def __init__(
        self,
        label: LabelType = "class",
        modalities: Sequence[str] = ("image",),
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
            raise UserError(f"label={label!r} is unknown; choose from {', '.join(ROWS)}")
        if ROWS[label].brings_text and "text" in modalities:
            raise UserError(f"modalities: label {label!r} brings its own texts; leave text out")
        self.label, self.evaluation_size, self.objects, self.world_seed = (
            label,
            evaluation_size,
            objects,
            world_seed,
        )
        self.rendering = Rendering(tuple(modalities), image_size, seconds, frames)
        super().__init__(
            processors={
                **world_processors(image_size, seconds),
                "image": ImageProcessor(
                    image_size, train_crop=None
                ),  # no random crop: places and boxes matter
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
        """Return the evaluation set of the split, with reference scores."""
        rows = self.rows("val" if split == "validation" else "test", self.evaluation_size)
        scores = references(rows, self.rows("train", self.evaluation_size * 4))
        return [EvaluationSet(name="triworld", rows=rows, references=scores, prompts=self.class_prompts())]

    def texts(self, modality: str) -> Iterable[str]:
        """Return captions of all types: one tokenizer for pretraining and all tasks."""
        return world_texts(self.world_seed)
