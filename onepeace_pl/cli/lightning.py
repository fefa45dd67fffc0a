"""The four Trainer verbs: a thin LightningCLI that uses public hooks only."""

import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

from onepeace_pl.callbacks.interrupt import StopOnSignal
from onepeace_pl.cli import runs
from onepeace_pl.cli.merge import MergingConfigFile
from onepeace_pl.cli.origin import dropped, origins
from onepeace_pl.cli.parser import Parser
from onepeace_pl.cli.plugins import load_plugins

_NEED_WEIGHTS = ("validate", "test", "predict")
_BESIDE_THE_POINT = (  # Lightning's warnings about what a run folder makes sure of
    "Experiment logs directory .* exists and is not empty",
    "Checkpoint directory .* exists and is not empty",
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
)
_ONLY_FOR_FIT = ("Be aware that when using `ckpt_path`, callbacks used to create the checkpoint",)


class ExperimentCLI(LightningCLI):
    """LightningCLI with run folders, merging configs and a check that something trained is being measured.

    Attributes:
        folder: The run folder.
    """

    folder: Path

    def __init__(self, experiment: type[L.LightningModule], words: Sequence[str], verb: bool = True) -> None:
        self._words = list(words)
        self._checkpoint: str | None = None
        super().__init__(
            experiment,
            L.LightningDataModule,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            parser_class=Parser,
            seed_everything_default=0,
            save_config_callback=None,  # before_fit writes it
            args=self._words,
            run=verb,
        )

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """Make one verb's parser, with the merging ``--config``."""
        parser = self.parser_class(**kwargs)
        parser.add_argument(
            "-c", "--config", action=MergingConfigFile, help="YAML file; may be given several times."
        )
        return parser

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add ``--run``."""
        parser.add_argument(
            "--run",
            type=str | None,
            default=None,
            help="Run folder: a name under runs/ or a path. Default: the first config file's name.",
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse, then hide ``ckpt_path``.

        Lightning would read the whole checkpoint in every process and let its hyper-parameters beat files and
        flags.
        """
        self.config = parser.parse_args(args)
        settings = self._settings()
        if "ckpt_path" in settings:
            self._checkpoint, settings.ckpt_path = settings.ckpt_path, None
        chosen = settings.run or settings.trainer.default_root_dir or runs.default_run(self._words)
        self.folder = runs.run_folder(str(chosen))
        settings.run = runs.spelled(self.folder)

    def before_instantiate_classes(self) -> None:
        """Refuse what can't be right before anything is built, then show ``ckpt_path`` again."""
        checkpoint, settings = self._checkpoint, self._settings()
        if checkpoint and checkpoint not in runs.KEYWORDS and not Path(checkpoint).exists():
            raise ValueError(f"--ckpt_path: no file or folder '{checkpoint}'")
        model = settings.model
        if self.subcommand in _NEED_WEIGHTS and not (
            checkpoint or model.get("init_from") or model.get("random_weights")
        ):
            raise ValueError(
                f"{self.subcommand} would measure random weights: give --ckpt_path or --model.init_from, "
                "or say --model.random_weights true"
            )
        for line in dropped(origins(self._words), self._resolved()):
            print("note:", line, file=sys.stderr)
        if self.subcommand:
            settings.ckpt_path = checkpoint

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """Make the trainer; what the config leaves open (loggers, checkpoints) goes to the run folder."""
        return super().instantiate_trainer(**self._defaults(), **kwargs)

    def before_fit(self) -> None:
        """Make the run folder free and write ``config.yaml`` into it."""
        if not self.config_init[self.subcommand].trainer.fast_dev_run:
            # without ckpt_path: the file describes the whole run, not the rest of it
            text = yaml.safe_dump(self._resolved() | {"ckpt_path": None}, sort_keys=False)
            _open_run(self.folder, runs.continues(self.folder, self._checkpoint), text)

    def _settings(self) -> Any:
        return self.config[self.config.subcommand] if self.config.get("subcommand") else self.config

    def _defaults(self) -> dict[str, Any]:
        given = self.config_init[self.subcommand].trainer if self.subcommand else self.config_init.trainer
        fit = self.subcommand == "fit"
        callbacks = given.callbacks or []
        callbacks = list(callbacks) if isinstance(callbacks, list) else [callbacks]
        own = any(isinstance(callback, ModelCheckpoint) for callback in callbacks)
        saves = fit and given.enable_checkpointing is not False and not given.fast_dev_run
        if saves and not own:
            folder = self.folder / runs.CHECKPOINTS
            callbacks.append(ModelCheckpoint(folder, "best", save_last=True, enable_version_counter=False))
        if saves:
            callbacks.append(StopOnSignal())
        defaults: dict[str, Any] = {"default_root_dir": given.default_root_dir or str(self.folder)}
        defaults |= {"callbacks": callbacks, "enable_checkpointing": saves or own}
        if given.logger is None or given.logger is True:
            defaults["logger"] = _loggers(self.folder) if fit else False
        return defaults

    def _resolved(self) -> dict[str, Any]:
        config: dict[str, Any] = yaml.safe_load(self.parser.dump(self.config, skip_none=False))
        return config[self.subcommand] if self.subcommand else config


def run(
    words: Sequence[str], verb: bool = True, experiment: type[L.LightningModule] | None = None
) -> ExperimentCLI:
    """Parse and build, and do what the first word says.

    Args:
        words: Verb and options.
        verb: False stops after building; then ``words`` has no verb.
        experiment: The LightningModule to configure.
    """
    for plugin in load_plugins():
        if plugin.error:
            print(f"note: plugin '{plugin.name}' was not loaded: {plugin.error}", file=sys.stderr)
    words = runs.with_run_of_checkpoint(list(words)) if verb else words
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_no_advertisement)
    with warnings.catch_warnings():
        for text in (*_BESIDE_THE_POINT, *(() if words[:1] == ["fit"] else _ONLY_FOR_FIT)):
            warnings.filterwarnings("ignore", message=text)
        try:
            return ExperimentCLI(experiment or default_experiment(), words, verb)
        except SIGTERMException:
            raise SystemExit(1) from None


def default_experiment() -> type[L.LightningModule]:
    """Return the LightningModule that the verbs configure."""
    from onepeace_pl.experiment import Experiment

    return Experiment


def _no_advertisement(record: logging.LogRecord) -> bool:
    return "Tip: For seamless cloud" not in record.getMessage()


def _loggers(folder: Path) -> list[L.pytorch.loggers.Logger]:
    # name and version would make folders of their own
    return [
        CSVLogger(folder, name="", version="", flush_logs_every_n_steps=1),
        TensorBoardLogger(folder, name="", version=""),
    ]


@rank_zero_only
def _open_run(folder: Path, resume: bool, config: str) -> None:
    if line := runs.claim(folder, resume):
        print(f"note: {line}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / runs.CONFIG).write_text(config, encoding="utf-8")
