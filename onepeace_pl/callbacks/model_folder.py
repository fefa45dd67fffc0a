"""Model folder of a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from onepeace_pl.callbacks.best import WeightsOrigin, read_best, unsharded
from onepeace_pl.callbacks.interfaces import datamodule_of, init_from, is_trial_run
from onepeace_pl.data.labels.transforms import JointTransform
from onepeace_pl.data.needs import TaskDataModule
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import Processor
from onepeace_pl.optim.finite import check_finite
from onepeace_pl.training.experiment import Experiment
from onepeace_pl.utils.files import NEW, beside, discard, replace
from onepeace_pl.utils.json_files import JsonObject

FOLDER = "model"


class ModelFolder(L.Callback):
    """Writes ``RUN/model`` when ``fit`` ends: config, weights, the task's head, tokenizer and preprocessing.

    Preprocessing of modalities that the run's data does not have comes from the model folder it started from.

    Whatever the strategy. The weights are those of the best checkpoint, where a metric chooses one, else those at the
    end of training; ``config.json`` and the card say which. The folder is written beside an older one and then put in
    its place. A run that is stopped by a signal leaves its folder too, unless its weights are shared out among
    processes; one that breaks does not.

    After parameter-efficient fine-tuning it has the trained weights and the path of the others
    (``docs/guide/fine_tuning.md``).

    Args:
        whole: Write all weights all the same.

    Attributes:
        origin: Origin of the written weights; None before.
        processors: Preprocessing of the backbone's modalities, as far as data and ``init_from`` have it.
    """

    def __init__(self, whole: bool = False) -> None:
        super().__init__()
        self.whole = whole
        self.origin: WeightsOrigin | None = None
        self.processors: dict[str, Processor] = {}
        self._transforms: JsonObject = {}

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Let every part say how it was made: one that cannot is found before training, not after."""
        backbone: Any = pl_module.backbone
        backbone.to_config()
        self._transforms = _transforms(trainer)
        self.processors = _processors(trainer, pl_module)  # now: the folder it started from may move
        for processor in self.processors.values():
            processor.to_config()
        missing = [name for name in backbone.modalities if name not in self.processors]
        if missing:
            rank_zero_warn(
                f"no preprocessing for {', '.join(missing)}: neither data nor model.init_from has it, so the "
                f"run's model folder will not embed them; add data.processors.{missing[0]}"
            )

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Gather the weights on the first rank and write the folder."""
        if not is_trial_run(trainer):
            self._write(trainer, pl_module)

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Write the folder of a run that a signal stops."""
        if isinstance(exception, SIGTERMException) and trainer.global_step and trainer.world_size == 1:
            self._write(trainer, pl_module)

    def _write(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        from onepeace_pl.checkpoints.folder import save_folder
        from onepeace_pl.checkpoints.head import save_head

        module: Any = pl_module
        backbone = module.backbone
        base = module.base_weights if isinstance(module, Experiment) and not self.whole else None
        given: frozenset[str] = frozenset() if base is None else module.omitted
        task = module.task
        for part in (backbone, task):
            check_finite(part)
        best, self.origin = read_best(trainer, pl_module)
        # where weights are sharded the first process alone has them, and the checkpoint holds all of the module's
        held = (best or pl_module.state_dict()).keys() if self.origin.checkpoint else ()
        state = _with_best(backbone, "backbone.", best, held, given)
        head = _with_best(task, "task.", best, held)
        if trainer.is_global_zero:
            path = Path(trainer.default_root_dir) / FOLDER
            new = beside(path, NEW)
            discard(new)
            origin = self.origin.to_dict()
            save_folder(new, backbone, self.processors, state, base=base, weights=origin, head=bool(head))
            save_head(new, head, module.describe_task() | self._transforms)
            replace(new, path)
            rank_zero_info(f"model folder: {path}, weights of {self.origin}")
        trainer.strategy.barrier()


def _processors(trainer: L.Trainer, module: Any) -> dict[str, Processor]:
    """Return a processor for each of the backbone's modalities, as far as data and ``init_from`` know them."""
    from onepeace_pl.checkpoints.folder import load_processors, read_config
    from onepeace_pl.checkpoints.loading import CONFIG

    data = datamodule_of(trainer)
    known = dict(data.processors) if isinstance(data, TaskDataModule) else {}
    start = Path(init_from(module) or "")
    if any(name not in known for name in module.backbone.modalities) and (start / CONFIG).is_file():
        known = (
            load_processors(start, read_config(start), isinstance(module, Experiment) and module.trust)
            | known
        )
    return {name: known[name] for name in module.backbone.modalities if name in known}


def _transforms(trainer: L.Trainer) -> JsonObject:
    """Return the joint transform of the data outside training, or those of several tasks, in plain data.

    One that cannot be described is left out with a warning.
    """
    data = datamodule_of(trainer)
    if not isinstance(data, TaskDataModule):
        return {}
    offer = data.offer("predict")
    try:
        several = {name: _config(each.transform) for name, each in offer.tasks.items()}
        return {"transforms": several} if several else {"transform": _config(offer.transform)}
    except UserError as error:
        rank_zero_warn(f"the model folder will not say how images of new files are resized: {error}")
        return {}


def _config(transform: JointTransform | None) -> JsonObject | None:
    return None if transform is None else transform.to_config()


def _with_best(
    part: nn.Module,
    prefix: str,
    best: Mapping[str, Tensor],
    held: Collection[str],
    without: frozenset[str] = frozenset(),
) -> dict[str, Tensor]:
    """Return the weights of a part of the module, the best ones where there are such; every rank must call it.

    Args:
        part: The part.
        prefix: Prefix of the module's weight names.
        best: Weights of the best checkpoint by the module's names, as far as this rank has read them.
        held: The names in that checkpoint.
        without: The part's names of weights to leave out.
    """
    chosen = {name for name in part.state_dict().keys() - without if f"{prefix}{name}" in held}
    state = full_state(part, without | chosen)
    return state | {name: best[f"{prefix}{name}"] for name in chosen if best}


def full_state(module: nn.Module, without: Collection[str] = ()) -> dict[str, Tensor]:
    """Return the weights on the CPU, gathered where they are sharded; every rank must call it.

    Args:
        module: The module.
        without: Names to leave out.
    """
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    state = module.state_dict()
    if any(isinstance(tensor, DTensor) for tensor in state.values()):
        if without:  # one at a time: few remain
            return {n: unsharded(t).detach().cpu() for n, t in state.items() if n not in without}
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        return dict(get_model_state_dict(module, options=options))  # type: ignore[arg-type]
    return {name: tensor.detach().cpu() for name, tensor in state.items() if name not in without}
