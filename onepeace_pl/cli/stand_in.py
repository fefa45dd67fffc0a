"""Dry run of ``fit``: resolve a config and build it on the meta device."""

import logging
import re
import warnings
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import lightning as L
import torch
from jsonargparse import Namespace
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, StrategyRegistry

from onepeace_pl.cli import lightning as verbs
from onepeace_pl.cli.failures import is_missing_file, user_message
from onepeace_pl.cli.lightning import ExperimentCLI
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.training.compatibility import check_compatible
from onepeace_pl.training.experiment import Experiment
from onepeace_pl.utils.json_files import JsonObject


class NoData(L.LightningDataModule):
    """Takes the place of data that are not here; a head needs at least one class."""

    data_info = DataInfo(classes=("unknown",))


class StandIn(ExperimentCLI):
    """A ``fit`` that stops before the run folder is touched: what it refuses by then is refused here, too.

    The trainer is made for one CPU, so a config for eight GPUs can be looked at on a laptop.

    Args:
        experiment: The LightningModule to configure.
        words: A command line of ``fit`` without the verb.
        build: Make model, data module and trainer; else only the text is resolved.

    Attributes:
        without_data: Why there is no data module, where files are missing.
    """

    def __init__(self, experiment: type[L.LightningModule], words: Sequence[str], build: bool) -> None:
        self._build = build
        self.without_data: str | None = None
        verbs.announce_plugins()
        disabled = logging.root.manager.disable
        logging.disable(logging.INFO)  # seeds and devices are beside the point
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                super().__init__(experiment, ["fit", *words])
        finally:
            logging.disable(disabled)

    def instantiate_classes(self) -> None:
        """Make what was asked for; the data are done without where their files are missing."""
        if not self._build:
            self.config_init, self.model, self.datamodule = self.config, None, None
            self.trainer = cast(L.Trainer, SimpleNamespace(fit=None))  # Lightning looks the verb up
            return
        try:
            super().instantiate_classes()
        except Exception as error:
            if not is_missing_file(error):
                raise
            self.without_data, said = user_message(error) or str(error), self._settings.data
            self._settings.data = Namespace(class_path=f"{__name__}.{NoData.__name__}")  # type: ignore[no-untyped-call]
            super().instantiate_classes()
            self._settings.data = said

    def built(self) -> L.LightningModule:
        """Return the model that would be trained, its parameters on the meta device.

        It is built without dataset metadata where their files are missing.
        """
        model: Any = self.model
        try:
            model.data_info = self.datamodule.data_info
        except Exception as error:
            if not is_missing_file(error):
                raise
            self.without_data, model.data_info = user_message(error) or str(error), NoData.data_info
        with torch.device("meta"):
            model.configure_model()
        if isinstance(model, Experiment) and model.task is not None:
            if self.without_data is None:
                check_compatible(model.task.needs, self.datamodule.offer(""))  # rows are for `data check`
            if any(parameter.requires_grad for parameter in model.parameters()):
                model.build_optimizer()
        return model  # type: ignore[no-any-return]

    def instantiate_trainer(self, **kwargs: object) -> L.Trainer:
        """Make the trainer, for what this machine has."""
        return super().instantiate_trainer(**_without_gpus(self.config_init.fit.trainer), **kwargs)

    def before_fit(self) -> None:
        """Leave the run folder alone."""

    def fit(self, **kwargs: object) -> None:
        """Don't."""


def _without_gpus(trainer: Any) -> dict[str, object]:
    """Return options in place of those that ask for hardware; what there is nowhere is left to be refused."""
    found: dict[str, object] = {}
    names = ("auto", "gpu", *AcceleratorRegistry.available_accelerators())
    if not isinstance(trainer.accelerator, str) or trainer.accelerator in names:
        found["accelerator"] = "cpu"
    if _counts(trainer.devices):
        found["devices"] = 1
    if trainer.num_nodes > 0:
        found["num_nodes"] = 1
    strategy = trainer.strategy
    known = strategy in StrategyRegistry.available_strategies() if isinstance(strategy, str) else True
    if known and not isinstance(strategy, DDPStrategy | ModelParallelStrategy):
        found["strategy"] = "auto"
    return found


def _counts(devices: Any) -> bool:
    """Return whether ``devices`` names any: -1, ``auto``, a number of them, or which."""
    if isinstance(devices, str):
        return devices == "auto" or re.fullmatch(r"-1|0*[1-9]\d*|\d+,[\d,]*", devices) is not None
    return bool(devices) if isinstance(devices, list) else devices == -1 or devices > 0


def resolve(words: Sequence[str]) -> JsonObject:
    """Return the config that ``fit`` with these words would run."""
    return StandIn(verbs.default_experiment(), words, build=False).resolved()


def build(words: Sequence[str]) -> tuple[L.LightningModule, str | None]:
    """Build the model that ``fit`` with these words would train, its parameters on the meta device.

    Returns:
        The model, and why it was built without dataset metadata, where their files are missing.
    """
    stand_in = StandIn(verbs.default_experiment(), words, build=True)
    return stand_in.built(), stand_in.without_data
