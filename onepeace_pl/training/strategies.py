"""Strategies for several devices: FSDP2, and FSDP1 with atomic checkpoints."""

from __future__ import annotations

from datetime import timedelta

from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy

from onepeace_pl.checkpoints.io import AtomicFolders


class FullyShardedStrategy(AtomicFolders, ModelParallelStrategy):
    """FSDP2: every device of every node holds a share of the model and reads its own part of each batch.

    Lightning's own strategy, left to itself, makes the devices of a node tensor-parallel, which needs a number that
    no config can know; here all of them are data-parallel. What is sharded stands in
    ``onepeace_pl.backbone.parallel``.

    Args:
        save_distributed_checkpoint: Write a folder, a file a process; False gathers one file on the first.
        process_group_backend: For instance ``nccl``; None chooses by the device.
        timeout: After so long without an answer from another process, a process gives up.
    """

    def __init__(
        self,
        save_distributed_checkpoint: bool = True,
        process_group_backend: str | None = None,
        timeout: timedelta | None = timedelta(minutes=30),
    ) -> None:
        super().__init__(
            tensor_parallel_size=1,
            save_distributed_checkpoint=save_distributed_checkpoint,
            process_group_backend=process_group_backend,
            timeout=timeout,
        )

    @property
    def writes_folders(self) -> bool:
        """Whether a checkpoint is a folder."""
        return bool(self._save_distributed_checkpoint)

    def setup_environment(self) -> None:
        """Set up processes and the device mesh, as wide as there are devices."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()


class FSDP1Strategy(AtomicFolders, FSDPStrategy):
    """The older FSDP, with checkpoints that are never half written. Options are those of Lightning's."""

    @property
    def writes_folders(self) -> bool:
        """Whether a checkpoint is a folder."""
        return bool(self._state_dict_type == "sharded")
