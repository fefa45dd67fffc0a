"""Trainer commands (fit, validate, test, predict): a thin LightningCLI that uses public hooks only."""

import sys
import warnings
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import lightning as L
import yaml
from lightning.pytorch.callbacks import Checkpoint, ProgressBar
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.plugins import CheckpointIO
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

from onepeace_pl.callbacks.last import LastCheckpoint
from onepeace_pl.callbacks.monitors import CheckMonitors, monitor_of
from onepeace_pl.checkpoints.io import AtomicCheckpointIO
from onepeace_pl.checkpoints.pickles import read_pickle
from onepeace_pl.checkpoints.sharded import check_sharded
from onepeace_pl.cli import defaults, runs
from onepeace_pl.cli.failures import constructing
from onepeace_pl.cli.merge import MergingConfigFile
from onepeace_pl.cli.origin import dropped, origins
from onepeace_pl.cli.parser import Parser
from onepeace_pl.cli.shipped import with_found_configs
from onepeace_pl.errors import UserError
from onepeace_pl.utils.files import write_text
from onepeace_pl.utils.json_files import JsonObject
from onepeace_pl.utils.known_classes import TRUST, TRUST_HELP, known_classes
from onepeace_pl.utils.plugins import load_plugins

_NEED_WEIGHTS = ("validate", "test", "predict")
_NO_TEXT = "Unable to serialize instance"  # the parser's text for a default without class_path
_BESIDE_THE_POINT = (  # Lightning's warnings about what a run folder makes sure of
    "Experiment logs directory .* exists and is not empty",
    "Checkpoint directory .* exists and is not empty",
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    r"It is recommended to use `self.log\('val/",  # every rank has gathered everything
    "You're using the WeightAveraging callback with a model that overrides the configure_model",  # sharding: an error
    r"\s*" + _NO_TEXT,
)
_ONLY_FOR_FIT = ("Be aware that when using `ckpt_path`, callbacks used to create the checkpoint",)


class ExperimentCLI(LightningCLI):
    """LightningCLI with run folders, merging configs and a check that something trained is being measured.

    Args:
        experiment: The LightningModule to configure.
        words: Verb and options.
        trust: Import whatever class the folder of ``model.init_from`` names.
        until_end: Takes in what the run holds until it ends.

    Attributes:
        folder: The run folder.
        config_dump: The verb's config as plain values, without ``ckpt_path``.
    """

    folder: Path
    config_dump: JsonObject

    def __init__(
        self,
        experiment: type[L.LightningModule],
        words: Sequence[str],
        trust: bool = False,
        until_end: ExitStack | None = None,
    ) -> None:
        self._words, self._trust = with_found_configs(words), trust
        self._until_end = until_end or ExitStack()
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
        )

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """Make one verb's parser, with the merging ``--config``."""
        parser = self.parser_class(**kwargs, epilog=TRUST_HELP)
        text = "YAML file; may be given several times."
        parser.add_argument("-c", "--config", action=MergingConfigFile, help=text)
        return parser

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # static there, but called on itself
        """Return the verb in ``words`` alone: each verb has a parser of its own, and making one takes time."""
        verb = self._words[0]
        return {verb: super().subcommands()[verb]}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add ``--run``."""
        text = "Run folder: a name under runs/ or a path. Default: the first config file's name."
        parser.add_argument("--run", type=str | None, default=None, help=text)

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, then hide ``ckpt_path``.

        Lightning would read the whole checkpoint in every process and let its hyper-parameters beat files and
        flags.
        """
        self.config = parser.parse_args(self._words)
        settings = self._settings
        checkpoint, settings.ckpt_path = settings.ckpt_path, None
        self._given = checkpoint
        chosen = settings.run or settings.trainer.default_root_dir or runs.default_run(self._words)
        self.folder = runs.run_folder(str(chosen))
        self._checkpoint = runs.find_checkpoint(checkpoint, self.folder)
        if self._checkpoint and Path(self._checkpoint).is_dir():
            check_sharded(Path(self._checkpoint))
        settings.run = runs.spelled(self.folder)

    def before_instantiate_classes(self) -> None:
        """Check the options before anything is built, then show ``ckpt_path`` again."""
        checkpoint, model = self._checkpoint, self._settings.model
        if checkpoint and Path(checkpoint).is_file():
            # maps the file, so that no weights are read; when Lightning reads it, it advises to let it run code
            content = read_pickle(Path(checkpoint))
            if not isinstance(content, dict) or "state_dict" not in content:
                raise UserError(
                    f"--ckpt_path: '{checkpoint}' is no checkpoint of a run; weights alone go to --model.init_from"
                )
        trained = checkpoint or model.get("init_from") or model.get("random_weights")
        if self.subcommand in _NEED_WEIGHTS and not trained:
            raise UserError(
                f"{self.subcommand} would measure random weights: give --ckpt_path or --model.init_from, "
                "or say --model.random_weights true"
            )
        # dumping takes as long as parsing: once, also in place of the dump that Lightning makes for hyper-parameters
        self.config_dump = self._dumped()
        for line in dropped(origins(self._words), self.config_dump):
            print("note:", line, file=sys.stderr)
        self._settings.ckpt_path = checkpoint

    def instantiate_classes(self) -> None:
        """Make model, data module and trainer."""
        with constructing():
            super().instantiate_classes()

    def instantiate_trainer(self, **kwargs: object) -> L.Trainer:
        """Make the trainer; loggers, checkpoints and report, left open, go to the run folder."""
        self.model.resumes, self.model.trust = bool(self._checkpoint), self._trust
        return super().instantiate_trainer(**self._left_open(), **kwargs)

    def before_fit(self) -> None:
        """Make the run folder free and write ``config.yaml`` into it."""
        init_from, resume = (
            self._settings.model.get("init_from"),
            runs.continues(self.folder, self._checkpoint),
        )
        if init_from and not resume and Path(init_from).resolve().is_relative_to(self.folder.resolve()):
            raise UserError(f"model.init_from lies in the run folder '{self.folder}'; choose another --run")
        if not self._settings.trainer.fast_dev_run:
            self._hold()
            # without ckpt_path: the file describes the whole run, not the rest of it
            text = yaml.safe_dump(self.resolved() | {"ckpt_path": None}, sort_keys=False)
            _open_run(self.folder, resume, text)

    @rank_zero_only
    def _hold(self) -> None:
        """Claim the run folder; what was left there of a checkpoint has its name again then."""
        if (claim := runs.hold(self.folder)) is not None:
            self._until_end.enter_context(claim)
        if self._given in runs.KEYWORDS:
            self.config_init[self.subcommand].ckpt_path = runs.find_checkpoint(self._given, self.folder)

    def resolved(self) -> JsonObject:
        """Return the verb's whole config as plain values."""
        return self.config_dump | {"ckpt_path": self._settings.ckpt_path}

    def _dumped(self) -> JsonObject:
        # parsing has validated it
        text = self.parser.dump(self.config, skip_none=False, skip_validation=True)
        config: JsonObject = yaml.safe_load(text)
        return _sayable(config)[self.config.subcommand]  # type: ignore[no-any-return]

    @property
    def _settings(self) -> Any:
        return self.config[self.config.subcommand]

    def _left_open(self) -> dict[str, object]:
        given = self.config_init[self.subcommand].trainer
        fit, trial = self.subcommand == "fit", bool(given.fast_dev_run)
        offered = [] if trial else defaults.result_callbacks(self.model, str(self.subcommand))
        if fit and not trial and given.enable_checkpointing is not False:
            monitor = defaults.monitor_of(self._settings.model)
            offered += defaults.checkpoint_callbacks(self.folder / runs.CHECKPOINTS, monitor)
        callbacks = given.callbacks or []
        callbacks = list(callbacks) if isinstance(callbacks, list) else [callbacks]
        own_monitor = any(map(monitor_of, callbacks))
        own_bar = any(isinstance(callback, ProgressBar) for callback in callbacks)
        if fit:
            offered.append(CheckMonitors())
            offered += defaults.progress_callbacks(given.enable_progress_bar is not False and not own_bar)
        callbacks += [new for new in offered if not any(isinstance(own, type(new)) for own in callbacks)]
        callbacks.sort(key=lambda callback: isinstance(callback, LastCheckpoint))  # saves the others' states
        open_settings = {
            "default_root_dir": given.default_root_dir or str(self.folder),
            "callbacks": callbacks,
            "enable_checkpointing": any(isinstance(callback, Checkpoint) for callback in callbacks),
        }
        plugins = given.plugins or []
        plugins = list(plugins) if isinstance(plugins, list) else [plugins]
        own_io = any(isinstance(plugin, CheckpointIO) for plugin in plugins)
        if not own_io and getattr(given.strategy, "_checkpoint_io", None) is None:
            open_settings["plugins"] = [*plugins, AtomicCheckpointIO()]
        resumed = Path(str(self._checkpoint)) if runs.continues(self.folder, self._checkpoint) else None
        if given.logger is None or given.logger is True:
            open_settings["logger"] = defaults.loggers(self.folder, (), resumed) if fit else False
        elif given.logger and fit:
            own = given.logger if isinstance(given.logger, list) else [given.logger]
            open_settings["logger"] = defaults.loggers(self.folder, own, resumed)
        if fit and given.num_sanity_val_steps == 0 and own_monitor:
            open_settings["num_sanity_val_steps"] = 1  # the names of metrics are known before anything trains
        return open_settings


def run(words: Sequence[str], experiment: type[L.LightningModule] | None = None) -> ExperimentCLI:
    """Run the command that the first word names.

    Args:
        words: Verb and options.
        experiment: The LightningModule to configure.
    """
    trust, given = TRUST in words, [word for word in words if word != TRUST]
    words = runs.with_run_of_checkpoint(given)
    announce_plugins()
    travelled = words != given and not trust  # the config beside a checkpoint may be anybody's
    with warnings.catch_warnings(), known_classes() if travelled else nullcontext():
        for text in (*_BESIDE_THE_POINT, *(() if words[:1] == ["fit"] else _ONLY_FOR_FIT)):
            warnings.filterwarnings("ignore", message=text)
        try:
            with ExitStack() as until_end:
                return ExperimentCLI(experiment or default_experiment(), words, trust, until_end)
        except SIGTERMException:
            print(runs.STOPPED, file=sys.stderr)
            raise SystemExit(1) from None


def default_experiment() -> type[L.LightningModule]:
    """Return the LightningModule that the verbs configure."""
    from onepeace_pl.training.experiment import Experiment

    return Experiment


def announce_plugins() -> None:
    """Load plugins, and say which were not."""
    for plugin in load_plugins():
        if plugin.error:
            print(f"note: plugin '{plugin.name}' was not loaded: {plugin.error}", file=sys.stderr)


def _sayable(config: Any) -> Any:
    """Leave out default values that YAML has no words for; they stay the defaults when the text is read."""
    if not isinstance(config, dict):
        return config
    return {name: _sayable(v) for name, v in config.items() if not str(v).startswith(_NO_TEXT)}


@rank_zero_only
def _open_run(folder: Path, resume: bool, config: str) -> None:
    if line := runs.claim(folder, resume):
        print(f"note: {line}")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / runs.CONFIG, config)
