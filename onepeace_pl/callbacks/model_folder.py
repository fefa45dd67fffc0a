"""Every run leaves a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn

FOLDER = "model"


class ModelFolder(L.Callback):
    """Writes ``RUN/model`` when ``fit`` ends, whatever the strategy: config, weights, tokenizer and preprocessing.

    The weights are the last ones. A run that is stopped early leaves its folder too; one that breaks does not.
    """

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Gather the weights on the first rank and write the folder."""
        from onepeace_pl.hub.folder import save_folder

        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        backbone: Any = pl_module.backbone
        state = full_state(backbone)
        if trainer.is_global_zero:
            processors = trainer.datamodule.processors  # type: ignore[attr-defined]
            known = {name: part for name, part in processors.items() if name in backbone.modalities}
            folder = save_folder(Path(trainer.default_root_dir) / FOLDER, backbone, known, state)
            rank_zero_info(f"model folder: {folder}")
        trainer.strategy.barrier()


def full_state(module: nn.Module) -> dict[str, Tensor]:
    """Return all weights on the CPU, gathered where they are sharded; every rank must call it."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    state = module.state_dict()
    if any(hasattr(tensor, "full_tensor") for tensor in state.values()):
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        return dict(get_model_state_dict(module, options=options))  # type: ignore[arg-type]
    return {name: tensor.detach().cpu() for name, tensor in state.items()}
