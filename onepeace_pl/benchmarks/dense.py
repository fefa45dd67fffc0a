"""Peak memory of a dense task for one large image.

Shapes: B batch, S side of the image in pixels.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch
import yaml
from jsonargparse import ArgumentParser
from torch import Tensor, nn

from onepeace_pl.backbone import Backbone, DecoderConfig, TransformerConfig
from onepeace_pl.benchmarks.memory import peak_bytes
from onepeace_pl.data.batches import Batch
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.labels.transforms import JointTransform
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import OFFICIAL, AnySizeProcessor
from onepeace_pl.training.dense import DenseTask
from onepeace_pl.triworld.datamodule import TriWorldTaskDataModule
from onepeace_pl.triworld.labelled import LabelType

MakeTask = Callable[[Backbone, DataInfo], DenseTask]


@dataclass(frozen=True)
class Peak:
    """Peak memory of one use of a model.

    Attributes:
        name: Use of the model: training, inference and so on.
        weights: Bytes of the parameters.
        bytes: Most bytes alive at a time besides them; gradients count, the state of an optimizer is not there.
        seconds: Time of the call.
    """

    name: str
    weights: int
    bytes: int
    seconds: float


def read_task(path: Path) -> MakeTask:
    """Read a file of ``configs/parts/task``.

    Raises:
        UserError: It describes no dense task.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--task", type=MakeTask)
    content = path.read_text(encoding="utf-8")
    try:
        described = yaml.safe_load(content)
        return parser.instantiate(parser.parse_object({"task": described})).task  # type: ignore[no-any-return]
    except Exception as error:
        line = " ".join(str(error).split())
        raise UserError(
            f"{path}: not the file of a dense task, such as segmentation_upernet.yaml: {line}"
        ) from None


def peaks(
    make: MakeTask, label: LabelType, preset: str, size: int, dtype: torch.dtype, device: str
) -> Iterator[Peak]:
    """Measure training, training with activation checkpointing, and inference, for one TriWorld image.

    Args:
        make: Makes the task.
        label: ``mask`` or ``objects``: what it learns from.
        preset: Preset of the backbone.
        size: Side S, a multiple of 16.
        dtype: Other than float32 by autocast.
        device: Where.
    """
    data = TriWorldTaskDataModule(
        label,
        size=1,
        image_size=size,
        processors={"image": AnySizeProcessor()},
        transform=JointTransform(),
        batch_size=1,
    )
    modes: dict[str, Literal["none", "full"]] = {
        "training": "none",
        "training, blocks computed again": "full",
        "inference": "none",
    }
    for name, mode in modes.items():
        torch.manual_seed(0)
        backbone = Backbone(
            {"image": OFFICIAL["image"].factory(preset)},
            TransformerConfig(preset, activation_checkpointing=mode),
            DecoderConfig(depth=0),
        )
        task = make(backbone, data.data_info)
        data.connect(task.needs)
        task.apply_stage(backbone)
        both = nn.ModuleList([backbone, task]).to(device).train(name != "inference")
        for module in both.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()  # one picture has no statistics of its own
        (batch,) = data.train_dataloader()
        run = partial(_run, backbone, task, batch.to(device), dtype)
        start = time.perf_counter()
        most = peak_bytes(run, device)
        seconds = time.perf_counter() - start
        yield Peak(name, sum(p.numel() * p.element_size() for p in both.parameters()), most, seconds)


def _run(backbone: Backbone, task: DenseTask, batch: Batch, dtype: torch.dtype) -> None:
    kind = batch.inputs[task.modality].values.device.type
    with torch.autocast(kind, dtype, enabled=dtype != torch.float32):
        if not task.training:
            with torch.no_grad():
                task.outputs(backbone, batch)
            return
        loss: Tensor = task(backbone, batch).loss
    loss.backward()  # type: ignore[no-untyped-call]
