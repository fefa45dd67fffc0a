"""What dense tasks train and keep."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from onepeace_pl.backbone import Backbone, from_preset
from onepeace_pl.checkpoints.head import load_head, save_head
from onepeace_pl.data.data_info import DataInfo
from onepeace_pl.data.labels.transforms import JointTransform
from onepeace_pl.dense import BlockFeaturePyramid, SimpleFeaturePyramid, ViTAdapter
from onepeace_pl.modalities import AnySizeProcessor
from onepeace_pl.tasks.detection import CascadeRCNN, Detection
from onepeace_pl.tasks.segmentation import Mask2Former, Segmentation, UPerNet
from onepeace_pl.triworld.datamodule import TriWorldTaskDataModule

HEADS = {
    "upernet": (Segmentation, partial(UPerNet, width=16)),
    "mask2former": (
        Segmentation,
        partial(Mask2Former, width=16, queries=6, heads=2, encoder_layers=1, decoder_layers=1, points=64),
    ),
    "cascade": (Detection, partial(CascadeRCNN, convolutions=1, width=16, proposals=16, samples=16)),
}
NECKS = {
    "cls_token": ("upernet", BlockFeaturePyramid),
    "windows": ("upernet", partial(BlockFeaturePyramid, window_size=2)),
    "first block alone": ("upernet", partial(BlockFeaturePyramid, out_indices=[0, 0, 0, 0])),
    "adapter": ("mask2former", partial(ViTAdapter, channels=8)),
    "detector": (
        "cascade",
        partial(SimpleFeaturePyramid, channels=16, window_size=2, global_blocks=[1], rel_pos_size=4),
    ),
}


@pytest.mark.parametrize("neck", NECKS)
@pytest.mark.parametrize("per_layer", [False, True])
def test_what_trains_gets_a_gradient(neck: str, per_layer: bool) -> None:
    """Data-parallel training waits for the gradient of every parameter that requires one."""
    torch.manual_seed(0)
    head, make = NECKS[neck]
    kind, options = HEADS[head]
    description = from_preset("debug", ("image",), decoder=False).to_config()
    description["transformer"]["bias_per_layer"] = per_layer
    backbone = Backbone.from_config(description)
    data = TriWorldTaskDataModule(
        "objects" if kind is Detection else "mask",
        size=2,
        image_size=64,
        processors={"image": AnySizeProcessor()},
        transform=JointTransform(),
        batch_size=2,
    )
    task = kind(backbone, data.data_info, make, options)
    data.connect(task.needs)
    task.apply_stage(backbone)
    (batch,) = data.train_dataloader()
    task(backbone, batch).loss.backward()
    both = torch.nn.ModuleDict({"backbone": backbone, "task": task})
    assert not [n for n, p in both.named_parameters() if p.requires_grad and p.grad is None]
    trained = [n for n, p in backbone.named_parameters() if p.requires_grad]
    assert any("blocks.0" in name for name in trained)


@pytest.mark.parametrize("head", HEADS)
def test_of_other_classes_only_what_knows_them_is_new(head: str, tmp_path: Path) -> None:
    kind, options = HEADS[head]
    neck = partial(SimpleFeaturePyramid, channels=16) if kind is Detection else ViTAdapter
    backbone = from_preset("debug", ("image",), decoder=False)

    def task(classes: int) -> torch.nn.Module:
        return kind(backbone, DataInfo(classes=tuple(map(str, range(classes)))), neck, options)

    first, second = task(3), task(5)
    save_head(tmp_path, first.state_dict(), {})
    with pytest.raises(ValueError, match="another number of classes"):
        load_head(second, tmp_path)
    line = load_head(second, tmp_path, second.is_class_agnostic)
    assert line.startswith("head: new but for")
    old, new = first.state_dict(), second.state_dict()
    differing = {name for name, tensor in new.items() if not torch.equal(tensor, old[name])}
    assert differing
    assert all(set(name.split(".")) & set(second.head.class_specific) for name in differing)
    same = task(3)
    load_head(same, tmp_path, same.is_class_agnostic)
    changed = {n for n, t in same.state_dict().items() if not torch.equal(t, old[n])}
    assert changed <= differing
    assert changed
