"""TriWorld for training and retrieval: generated pairs, galleries with their optima."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain

from onepeace_pl.data.datamodule import PairsDataModule
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.needs import Split
from onepeace_pl.modalities import AudioProcessor, ImageProcessor, TextProcessor
from onepeace_pl.modalities.base import Processor
from onepeace_pl.triworld import TriWorldSource
from onepeace_pl.triworld.language.content import Caption
from onepeace_pl.triworld.language.sentence import Phrasing
from onepeace_pl.triworld.optimum.galleries import STAGES, Pair, galleries
from onepeace_pl.triworld.world.factors import KINDS

_TOLD = 2048  # scenes from whose sentences the tokenizer is trained, of each kind of sentence


class TriWorldData(PairsDataModule):
    """Generated pairs; nothing is read or downloaded.

    Args:
        pair: Modalities of a training row: [image, text] for the first stage, [audio, text] for the second.
        size: Number of training scenes.
        galleries: Retrieval galleries for validation and test; None takes those of the pair's stage.
        gallery_size: Scenes in a gallery.
        novel_size: Scenes in a second gallery of combinations that training never has; 0 makes none.
        objects: Fewest and most objects of a scene, up to four.
        image_size: Side of pictures in pixels, 48 or more and a multiple of 16.
        seconds: Length of sounds, 1 to 10.
        world_seed: Seed of the world and of its sentences.
        caption: What training sentences speak of: "seen", "heard" or "both"; None follows the pair.
        vague: Share of vague training sentences; None as `TriWorldSource`.
        phrasing: "known" or "new" frames of sentences in the galleries.
        labels: What else a task needs of each scene; see `onepeace_pl.triworld.source`.
        processors: Replaces the processors of some modalities, or adds others.
        batch_size: Training rows a step and process.
        eval_batch_size: Rows of a gallery at a time; None takes `batch_size`.
        num_workers: Processes that prepare rows, for each loader.
        seed: Seed of the order and of everything random in preparing; None takes the run's.
        pin_memory: Copy batches into page-locked memory; None does so where there is a GPU.
        vocabulary_size: Greatest size of the trained vocabulary. It is trained on sentences of all kinds, so
            that every stage has the same.
    """

    def __init__(
        self,
        pair: tuple[str, ...] = ("image", "text"),
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
        phrasing: Phrasing = "known",
        labels: tuple[str, ...] = (),
        processors: dict[str, Processor] | None = None,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        num_workers: int = 0,
        seed: int | None = None,
        pin_memory: bool | None = None,
        vocabulary_size: int = 768,
    ) -> None:
        self.pair = tuple(pair)
        self.gallery_names: tuple[Pair, ...] = (
            stage_galleries(pair) if galleries is None else tuple(galleries)
        )
        self.gallery_size = gallery_size
        self.novel_size = novel_size
        self.objects = objects
        self.image_size = image_size
        self.seconds = seconds
        self.world_seed = world_seed
        self.phrasing: Phrasing = phrasing
        train = TriWorldSource(
            size=size,
            fields=self.pair,
            caption=caption or told_of(pair),
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
        """Make the galleries of the stage, with the best achievable recall of each."""
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
                phrasing=self.phrasing,
            )
        )

    def texts(self, modality: str) -> Iterable[str]:
        """Return sentences of all kinds, whatever the pair: one tokenizer for all stages."""
        fewest, most = self.objects  # perhaps a list
        return world_texts(self.world_seed, (fewest, most))


def world_processors(image_size: int, seconds: float) -> dict[str, Processor]:
    """Return processors of all modalities of the world."""
    return {
        "text": TextProcessor(),
        "image": ImageProcessor(image_size),
        "audio": AudioProcessor(max_seconds=seconds, min_seconds=min(1.0, seconds)),
    }


@lru_cache(maxsize=4)  # it takes a second, and every data module of a process asks for the same
def world_texts(seed: int, objects: tuple[int, int] = (1, 2)) -> tuple[str, ...]:
    """Return sentences of all kinds, from which the tokenizer of every stage and task is trained."""
    kinds: tuple[Caption, ...] = ("seen", "heard")
    texts = (
        TriWorldSource(size=_TOLD, fields=("text",), caption=kind, objects=objects, seed=seed).texts()
        for kind in kinds
    )
    return tuple(chain.from_iterable(texts))


def told_of(pair: Sequence[str]) -> Caption:
    """Return what a sentence beside these modalities speaks of."""
    if "audio" in pair:
        return "both" if "image" in pair else "heard"
    return "seen"


def stage_galleries(pair: Sequence[str]) -> tuple[Pair, ...]:
    """Return the galleries of the stage that trains this pair; none where the pair is of no stage."""
    if "audio" in pair:
        return STAGES["audio_language"]
    return STAGES["vision_language"] if set(pair) == {"image", "text"} else ()
