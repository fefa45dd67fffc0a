"""Atomic checkpoints: a plugin for files, and a mix-in for strategies that write folders."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import ParallelStrategy
from torch.distributed.checkpoint.api import CheckpointException

from onepeace_pl.checkpoints.sharded import check_sharded
from onepeace_pl.utils.files import NEW, beside, discard, replace, replacing, save, sync
from onepeace_pl.utils.ranks import stop_together


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its target, syncs it to disk, then renames it onto the target.

    The command line uses it by default; elsewhere it is ``Trainer(plugins=AtomicCheckpointIO())``. Lightning's own
    goes through the system's temporary folder, from which a file may have to be copied to another file system.
    Addresses such as ``s3://`` are left to Lightning.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, object], path: _PATH, storage_options: object = None
    ) -> None:
        """Write a checkpoint; if that fails, an older one of that name stays."""
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        with replacing(path) as new:
            save(checkpoint, new)


class AtomicFolders(ParallelStrategy):
    """Mix-in of strategies whose processes write a checkpoint together, as a folder."""

    @property
    @abstractmethod
    def writes_folders(self) -> bool:
        """Whether a checkpoint is a folder, rather than a file that the first process writes."""

    def save_checkpoint(
        self, checkpoint: dict[str, object], filepath: _PATH, storage_options: object = None
    ) -> None:
        """Write a checkpoint; if that fails, an older one of that name stays. All processes must call it."""
        if not self.writes_folders:
            # not the strategy's own, which removes an older folder first
            ParallelStrategy.save_checkpoint(self, checkpoint, filepath, storage_options)
            return
        path = Path(self.broadcast(filepath))
        new = beside(path, NEW)
        if self.is_global_zero:
            discard(new)
        self.barrier()
        try:
            super().save_checkpoint(checkpoint, new, storage_options)
        except CheckpointException as error:  # every process gets it, wherever it began
            reason = next(iter(error.failures.values()))[0]
            if self.is_global_zero:
                discard(new)
            stop_together(f"cannot write {path} ({reason}); an older one stays")
        if self.is_global_zero:
            sync(new)
            replace(new, path)
        self.barrier()

    def load_checkpoint(self, checkpoint_path: _PATH, weights_only: bool | None = None) -> dict[str, object]:
        """Load a checkpoint; a folder is checked first, for torch would run code in it."""
        if Path(checkpoint_path).is_dir():
            check_sharded(Path(checkpoint_path))
        return super().load_checkpoint(checkpoint_path, weights_only)
