"""What a config means, without running it: resolved as ``fit`` would, and built without memory."""

import logging
import warnings
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import lightning as L
import torch

from onepeace_pl.cli import lightning as verbs
from onepeace_pl.cli.lightning import ExperimentCLI


class Blueprint(ExperimentCLI):
    """A ``fit`` that stops before the run folder is touched, and before a trainer is made.

    So a config for eight GPUs can be looked at on a laptop.

    Args:
        experiment: The LightningModule to configure.
        words: A command line of ``fit`` without the verb.
        build: Make model and data module; else only the text is resolved.
    """

    def __init__(self, experiment: type[L.LightningModule], words: Sequence[str], build: bool) -> None:
        self._build = build
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
        """Make what was asked for."""
        if self._build:
            super().instantiate_classes()
        else:
            self.config_init, self.model, self.datamodule = self.config, None, None
            self.trainer = self.instantiate_trainer()

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """Make none: what this machine lacks is no matter."""
        return SimpleNamespace(fit=None)

    def before_fit(self) -> None:
        """Leave the run folder alone."""

    def fit(self, **kwargs: Any) -> None:
        """Don't."""


def resolve(words: Sequence[str]) -> dict[str, Any]:
    """Return the config that ``fit`` with these words would run."""
    return Blueprint(verbs.default_experiment(), words, build=False).resolved()


def build(words: Sequence[str]) -> L.LightningModule:
    """Return the model that ``fit`` with these words would train, its parameters on the meta device."""
    cli = Blueprint(verbs.default_experiment(), words, build=True)
    model: L.LightningModule = cli.model
    model.facts = cli.datamodule.facts
    with torch.device("meta"):
        model.configure_model()
    return model
