"""Data module of multi-task training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from torch.utils.data import DataLoader

from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.datamodule import SourceDataModule
from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.loading.dataset import Sample
from onepeace_pl.data.loading.loader import ResumableLoader
from onepeace_pl.data.loading.multitask_loader import MultiTaskLoader
from onepeace_pl.data.needs import Needs, Offer, Split, TaskDataModule
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import TextProcessor
from onepeace_pl.modalities.base import Processor


class MultiTaskDataModule(TaskDataModule):
    """Data module that loads a batch of each task a step; each has its own sources, batch size and preparation.

    The dataset with most batches sets the length of an epoch; shorter ones repeat. All texts are read by one
    tokenizer: that of a processor, or one trained on the texts of the first task that has any. A model
    folder gets each modality's preparation from the first task that has it. Evaluation sets are named ``TASK/SET``.

    Args:
        tasks: Data modules by task, with the task names of the model.

    Attributes:
        trained: The tasks of which training reads batches, None for all; set by :meth:`connect`.
    """

    def __init__(self, tasks: dict[str, SourceDataModule]) -> None:
        super().__init__()
        if not tasks:
            raise UserError("there are no data to train several tasks on; set data.init_args.tasks")
        self.tasks = dict(tasks)
        self.processors: dict[str, Processor] = {}  # of each modality the first task's
        for _, name, processor in self._all_processors():
            self.processors.setdefault(name, processor)
        self.trained: Sequence[str] | None = None
        for data in self.tasks.values():
            data.skips = self.skips  # one list of the run
        self._check_tokenizers()

    @property
    def data_info(self) -> DataInfo:
        """Dataset metadata of each task; trains the tokenizer where that has not happened."""
        self.prepare_tokenizers()
        data_info = {name: data.data_info for name, data in self.tasks.items()}
        sizes = [each.vocabulary_size for each in data_info.values() if each.vocabulary_size is not None]
        return DataInfo(tuple(self.processors), max(sizes, default=None), tasks=data_info)

    def offer(self, verb: str) -> Offer:
        """Return the data of each task that a command reads."""
        return Offer(type(self).__name__, tasks={name: data.offer(verb) for name, data in self.tasks.items()})

    def connect(self, needs: Needs) -> None:
        """Configure the loaders of each task; called before they are made."""
        self.trained = needs.trained
        for name, own in needs.tasks.items():
            self.tasks[name].connect(own)

    def evaluation_sets(self, split: Split) -> list[EvaluationSet]:
        """Return the sets of all tasks, one a loader, in the loaders' order."""
        self.prepare_tokenizers()
        return self._named({name: data.evaluation_sets(split) for name, data in self.tasks.items()})

    @property
    def predicted(self) -> list[EvaluationSet]:
        """The sets that ``predict`` reads."""
        return self._named({name: data.predicted for name, data in self.tasks.items()})

    def prepare_tokenizers(self) -> None:
        """Give every text processor the one tokenizer of its modality, training it where there is none."""
        for texts in self._text_processors().values():
            if not any(processor.tokenizer for processor in texts.values()):
                first = next(
                    (task for task in texts if self.tasks[task].train is not None), next(iter(texts))
                )
                self.tasks[first].prepare_tokenizers()
            tokenizer = next(processor.tokenizer for processor in texts.values() if processor.tokenizer)
            for processor in texts.values():
                processor.tokenizer = tokenizer

    def setup(self, stage: str) -> None:
        """Make all data ready, the tokenizer first."""
        self.prepare_tokenizers()
        for data in self.tasks.values():
            data.trainer = self.trainer  # which knows the ranks
            data.setup(stage)

    def train_dataloader(self) -> MultiTaskLoader:
        """Return the loader that gives a batch of each task a step.

        Raises:
            UserError: A task has no training source; names it.
        """
        names = self.tasks if self.trained is None else self.trained
        for name in names:
            if self.tasks[name].train is None:
                raise UserError(
                    f"task {name!r} has no training source; set data.init_args.tasks.{name}.train"
                )
        return MultiTaskLoader({name: self.tasks[name].train_dataloader() for name in names})

    def val_dataloader(self) -> list[ResumableLoader]:
        """Return one loader a validation set of every task."""
        return [loader for data in self.tasks.values() for loader in data.val_dataloader()]

    def test_dataloader(self) -> list[ResumableLoader]:
        """Return one loader a test set of every task."""
        return [loader for data in self.tasks.values() for loader in data.test_dataloader()]

    def predict_dataloader(self) -> list[DataLoader[Sample]]:
        """Return one loader a set of every task that has any.

        Raises:
            UserError: There is nothing to read.
        """
        if not self.predicted:
            raise UserError("nothing to predict: give one of data.init_args.tasks test or validation rows")
        return [
            loader for data in self.tasks.values() if data.predicted for loader in data.predict_dataloader()
        ]

    def state_dict(self) -> dict[str, dict[str, str]]:
        """Return the tokenizers that were trained here."""
        trained = [data.state_dict()["tokenizers"] for data in self.tasks.values()]
        return {"tokenizers": {name: text for each in trained for name, text in each.items()}}

    def load_state_dict(self, state_dict: Mapping[str, Mapping[str, str]]) -> None:
        """Restore the tokenizers of a checkpoint, with a warning if the current texts give others."""
        for data in self.tasks.values():
            data.load_state_dict(state_dict)

    def _named(self, sets: dict[str, list[EvaluationSet]]) -> list[EvaluationSet]:
        return [replace(each, name=f"{task}/{each.name}") for task, own in sets.items() for each in own]

    def _text_processors(self) -> dict[str, dict[str, TextProcessor]]:
        """Return modality -> task -> its processor, of what is read as text."""
        found: dict[str, dict[str, TextProcessor]] = {}
        for task, name, processor in self._all_processors():
            if isinstance(processor, TextProcessor):
                found.setdefault(name, {})[task] = processor
        return found

    def _all_processors(self) -> Iterator[tuple[str, str, Processor]]:
        for task, data in self.tasks.items():
            for name, processor in data.processors.items():
                yield task, name, processor

    def _check_tokenizers(self) -> None:
        """Check that all tasks have the same tokenizer."""
        for name, texts in self._text_processors().items():
            own = {task: processor for task, processor in texts.items() if processor.tokenizer}
            for task, processor in own.items():
                first = next(iter(own))
                if processor.tokenizer != own[first].tokenizer:
                    raise UserError(
                        f"tasks {first!r} and {task!r} have different tokenizers in processors.{name}: one model "
                        "cannot read both; give them the same, or give it to one of them alone"
                    )
