"""Data modules on sources: labelled rows, and pairs for retrieval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.datasets.class_names import class_names
from onepeace_pl.data.evaluation.baselines import baseline_references
from onepeace_pl.data.evaluation.gallery import Gallery, pair_galleries
from onepeace_pl.data.evaluation.prompts import Prompts, class_prompts
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.labels.objects import ObjectsTarget
from onepeace_pl.data.labels.targets import TargetReader
from onepeace_pl.data.labels.transforms import JointTransform
from onepeace_pl.data.loading.collate import BatchTransform, Collator
from onepeace_pl.data.loading.dataset import OnError, PreparedRows, Sample
from onepeace_pl.data.loading.loader import ResumableLoader
from onepeace_pl.data.loading.samplers import EpochBatchSampler, Shuffle, interleaved
from onepeace_pl.data.needs import Needs, Offer, Split, TaskDataModule
from onepeace_pl.data.source import Source, texts_of
from onepeace_pl.data.tokenizers import Tokenizers
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import Processor, modality_of
from onepeace_pl.utils.ranks import rank_and_size
from onepeace_pl.utils.seeding import run_seed

MEASURED: dict[str, tuple[Split, ...]] = {
    "fit": ("validation",),
    "validate": ("validation",),
    "test": ("test",),
}
"""Command -> splits that it evaluates; ``predict`` needs no labels."""


class SourceDataModule(TaskDataModule):
    """Data module of labelled rows, for every task that is evaluated row by row.

    Batches are a function of options and seed alone: not of the number of workers, nor of where a run was resumed.
    The Trainer must not put a sampler of its own in place (``use_distributed_sampler: false``).

    Args:
        processors: Modality to processor. Text processors without a tokenizer get one that is trained on the
            texts of `train`.
        train: Rows for training.
        validation: Name to rows; each is evaluated by itself.
        test: The same for testing.
        batch_size: Training rows a step and process.
        eval_batch_size: Rows, or sentences that name classes, at a time in evaluation; None takes `batch_size`.
        num_workers: Processes that prepare rows, for each loader.
        seed: Seed of the order and of everything random in preparing, masks included; None takes the run's
            (``seed_everything``), or 3407 where there is none.
        on_error: Handling of rows that cannot be prepared: "raise", or "skip" them: counted, listed in
            ``skipped.tsv`` of the run, in training replaced by another row.
        pin_memory: Copy batches into page-locked memory; None does so where there is a GPU.
        vocabulary_size: Greatest size of a trained vocabulary.
        bucket_by_length: Put training rows of similar length into one batch; the source must know `lengths`.
        classes: Class names in the order of their indices, a number of nameless classes, or a file of names (one a
            line, JSON or CSV); None takes those of the training source.
        prompts: Templates for zero-shot classification, with ``{}`` for the class name ("a photo of {}").
        transform: Changes images together with their labels (masks, boxes); None changes nothing.
        shuffle: Order of the training rows: "stored", an array of all rows in every process, as in the original; or
            "computed", which takes no memory, for sets of many millions of rows, and lets an epoch go on with another
            number of devices or another batch size. Each is a function of seed and epoch, and a different order.

    Attributes:
        batch_transform: Applied to each training batch in the worker; set by :meth:`connect`.
        read_target: Reads a row's target from its labels; set by :meth:`connect`.
        compare: Whether training compares rows by content; set by :meth:`connect`.
    """

    def __init__(
        self,
        processors: dict[str, Processor],
        train: Source | None = None,
        validation: dict[str, Source] | None = None,
        test: dict[str, Source] | None = None,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        num_workers: int = 0,
        seed: int | None = None,
        on_error: OnError = "raise",
        pin_memory: bool | None = None,
        vocabulary_size: int = 768,
        bucket_by_length: bool = False,
        classes: list[str] | int | str | None = None,
        prompts: list[str] | None = None,
        transform: JointTransform | None = None,
        shuffle: Shuffle = "stored",
    ) -> None:
        for option, value in (("batch_size", batch_size), ("eval_batch_size", eval_batch_size)):
            if value is not None and value < 1:
                raise UserError(f"{option}={value} must be at least 1")
        if num_workers < 0:
            raise UserError(f"num_workers={num_workers} must be at least 0")
        super().__init__()
        self.processors: dict[str, Processor] = dict(processors)
        self.train = train
        self.seed = run_seed() if seed is None else seed
        self.on_error = on_error
        self.batch_transform: BatchTransform | None = None
        self.read_target: TargetReader | None = None
        self.compare = False
        self.sources: dict[Split, dict[str, Source]] = {"validation": validation or {}, "test": test or {}}
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size or batch_size
        self.num_workers = num_workers
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
        self.tokenizers = Tokenizers(self.processors, vocabulary_size)
        self.bucket_by_length = bucket_by_length
        self.classes = class_names(self._source_classes() if classes is None else classes)
        self.prompts = tuple(prompts or ())
        self.transform = transform
        self.shuffle: Shuffle = shuffle
        self._evaluation_sets: dict[Split, list[EvaluationSet]] = {}
        self._check_processors(self.sources.values())

    def _source_classes(self) -> Sequence[str]:
        """Return the classes of the training source, or of the first of the others that names some."""
        sources = (self.train, *(source for split in self.sources.values() for source in split.values()))
        return next((names for source in sources if source is not None and (names := source.classes)), ())

    @property
    def data_info(self) -> DataInfo:
        """Dataset metadata that tasks need; trains the tokenizer where that has not happened."""
        self.prepare_tokenizers()
        return DataInfo(tuple(self.processors), self.tokenizers.embedded, self.classes)

    def offer(self, verb: str) -> Offer:
        """Return the data that a command reads."""
        return Offer(
            data=type(self).__name__,
            processors=self.processors,
            train=self.train if verb == "fit" else None,
            evaluation=[each for split in MEASURED.get(verb, ()) for each in self.evaluation_sets(split)],
            transform=self.transform,
            on_error=self.on_error,
        )

    def connect(self, needs: Needs) -> None:
        """Configure the loaders for a task; called before they are made."""
        self.read_target, self.compare = needs.target, needs.duplicates
        self.batch_transform = None if needs.batch_transform is None else needs.batch_transform(self.seed)
        if self.transform is not None and isinstance(needs.target, ObjectsTarget):
            self.transform.read_objects = needs.target  # objects move with their image

    def evaluation_sets(self, split: Split) -> list[EvaluationSet]:
        """Return the sets of "validation" or "test", one a loader, in the loaders' order; made once."""
        if split not in self._evaluation_sets:
            self._evaluation_sets[split] = self.make_evaluation_sets(split)
        return self._evaluation_sets[split]

    def make_evaluation_sets(self, split: Split) -> list[EvaluationSet]:
        """Make one evaluation set for each source."""
        prompts = self.class_prompts()
        return [
            EvaluationSet(
                name=name, rows=source, references=baseline_references(source, self.classes), prompts=prompts
            )
            for name, source in self.sources[split].items()
        ]

    def class_prompts(self) -> tuple[Prompts, ...]:
        """Return the sentences that name the classes, in batches of similar length; empty where there are none."""
        if self.prompts:
            self.prepare_tokenizers()
        return class_prompts(self.prompts, self.classes, self.processors.get("text"), self.eval_batch_size)

    def prepare_tokenizers(self) -> None:
        """Train a tokenizer for each text processor that has none."""
        self.tokenizers.train(self.texts)

    def texts(self, modality: str) -> Iterable[str]:
        """Return the texts to train a tokenizer on.

        Raises:
            UserError: If there is no training source to take them from.
        """
        source = self.train
        if source is None:
            raise UserError(
                f"processors.{modality} has no tokenizer and there is no training source; give it `tokenizer`"
            )
        return texts_of(source, modality)

    def setup(self, stage: str) -> None:
        """Train tokenizers, and find the run's folder for the list of skipped rows."""
        self.prepare_tokenizers()
        if self.on_error == "skip" and self.trainer is not None:
            # On every rank: the logger's folder is agreed upon between processes.
            folder = self.trainer.log_dir or self.trainer.default_root_dir
            self.skips.path = Path(folder) / "skipped.tsv"

    def train_dataloader(self) -> ResumableLoader:
        """Return the loader of training batches.

        Raises:
            UserError: If there is no training source, or a modality of it has no processor.
        """
        if self.train is None:
            raise UserError("no training source; set data.init_args.train")
        rank, world_size = rank_and_size(self.trainer)
        sampler = EpochBatchSampler(
            len(self.train),
            self.batch_size,
            self.seed,
            rank=rank,
            world_size=world_size,
            lengths=_lengths(self.train) if self.bucket_by_length else None,
            fixed=self.trainer is not None and self.trainer.overfit_batches > 0,  # type: ignore[attr-defined]
            shuffle=self.shuffle,
        )
        return self._loader(self.train, self.train.modalities, sampler, self.batch_transform, self.compare)

    def val_dataloader(self) -> list[ResumableLoader]:
        """Return one loader a validation set."""
        return self._eval_loaders("validation")

    def test_dataloader(self) -> list[ResumableLoader]:
        """Return one loader a test set."""
        return self._eval_loaders("test")

    @property
    def predicted(self) -> list[EvaluationSet]:
        """The sets that ``predict`` reads: the test sets, or without any the validation sets."""
        return self.evaluation_sets("test") or self.evaluation_sets("validation")

    def predict_dataloader(self) -> list[DataLoader[Sample]]:
        """Return one loader for each set; each rank reads its share of the rows, padded to equal numbers of batches.

        Raises:
            UserError: There is nothing to read.
        """
        if not self.predicted:
            raise UserError("nothing to predict: give data.init_args.test or validation a source")
        rank, world_size = rank_and_size(self.trainer)
        loaders = []
        for each in self.predicted:
            processors = self._processors_of(each.modalities)
            # torch's own: for prediction Lightning rebuilds every loader around a sampler class that it knows
            loader = DataLoader(
                PreparedRows(
                    each.rows, processors, self.seed, on_error=self.on_error, transform=self.transform
                ),
                batch_size=self.eval_batch_size,
                sampler=[(0, index) for index in interleaved(len(each.rows), rank, world_size)],
                collate_fn=Collator(processors),
                num_workers=self.num_workers,
                pin_memory=self.pin_memory,
            )
            loaders.append(loader)
        return loaders

    def state_dict(self) -> dict[str, dict[str, str]]:
        """Return the tokenizers that were trained here."""
        return {"tokenizers": self.tokenizers.state_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Mapping[str, str]]) -> None:
        """Load the tokenizers of a checkpoint."""
        self.tokenizers.load_state_dict(state_dict.get("tokenizers", {}))

    def _eval_loaders(self, split: Split) -> list[ResumableLoader]:
        loaders = []
        rank, world_size = rank_and_size(self.trainer)
        for each in self.evaluation_sets(split):
            sampler = EpochBatchSampler(
                len(each.rows), self.eval_batch_size, self.seed, False, rank, world_size
            )
            loaders.append(self._loader(each.rows, each.modalities, sampler, None, isinstance(each, Gallery)))
        return loaders

    def _loader(
        self,
        source: Source,
        fields: tuple[str, ...],
        sampler: EpochBatchSampler,
        transform: BatchTransform | None,
        compare: bool,
    ) -> ResumableLoader:
        processors = self._processors_of(fields)
        rows = PreparedRows(
            source,
            processors,
            self.seed,
            sampler.train,
            self.on_error,
            self.read_target,
            self.transform,
            compare,
        )
        collator = Collator(processors, transform, self.read_target)
        return ResumableLoader(rows, sampler, collator, self.num_workers, self.pin_memory)

    def _processors_of(self, fields: Iterable[str]) -> dict[str, Processor]:
        return {name: self.processors[modality_of(name)] for name in fields}

    def _check_processors(self, splits: Iterable[Mapping[str, Source]]) -> None:
        named = [("train", self.train)] if self.train is not None else []
        named += [(name, source) for sources in splits for name, source in sources.items()]
        for name, source in named:
            missing = [m for m in map(modality_of, source.modalities) if m not in self.processors]
            if missing:
                raise UserError(
                    f"{name} has {missing[0]}, but there is no processor for it; "
                    f"add processors.{missing[0]} beside {', '.join(self.processors) or 'nothing'}"
                )


class PairsDataModule(SourceDataModule):
    """Data module of pairs (or triples) of modalities; each evaluation source is a retrieval gallery.

    Other options are those of :class:`SourceDataModule`.

    Args:
        merge_duplicates: Count items of equal content in a gallery (the same text, the same image) as one: one query,
            and one candidate that is right for all its rows. False counts each, as published results do; a duplicate
            of a right candidate then ranks before it.
    """

    def __init__(self, *args: Any, merge_duplicates: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.merge_duplicates = merge_duplicates

    def make_evaluation_sets(self, split: Split) -> list[EvaluationSet]:
        """Make the galleries: one for each pair of modalities of each source."""
        return [
            gallery
            for name, source in self.sources[split].items()
            for gallery in pair_galleries(name, source, self.merge_duplicates)
        ]


def _lengths(source: Source) -> Sequence[float]:
    lengths = source.lengths()
    if lengths is None:
        raise UserError(
            f"bucket_by_length: {type(source).__name__} does not know the lengths of its rows; "
            "set it to false, or give the source a method `lengths`"
        )
    return lengths
