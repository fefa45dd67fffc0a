"""The official vision checkpoint in the backbones of dense tasks: its numbers, its tables, its positions."""

import pytest
import torch

from onepeace_pl.backbone import Backbone
from onepeace_pl.checkpoints.loading import load_weights
from onepeace_pl.checkpoints.names import vision_only
from onepeace_pl.dense import DenseBranch
from onepeace_pl.modalities.image.adapter import PATCH
from onepeace_pl.nn.interpolation import enlarge_relative_table, resize_positions

from .files import table, tensors
from .official_files import official_model, vision_file
from .reference import NO_DECODER, PRETRAINING, adapters, transformer


@pytest.fixture
def official(golden):
    return vision_only(official_model(golden, "pretrain_3modal"))


@pytest.fixture
def source(official, tmp_path):
    return vision_file(tmp_path / "one-peace-vision.pkl", official)


def made(golden, source, image_size=None, position_side=None, **options):
    image = adapters(golden, ("image",), image_size=image_size)["image"]
    if position_side is not None:
        image.keywords["position_side"] = position_side
    backbone = Backbone({"image": image}, transformer(golden, **options), NO_DECODER).eval()
    report = load_weights(backbone, source)
    return backbone, report


@torch.no_grad()
@pytest.mark.parametrize("per_layer", [False, True])
def test_features_are_the_originals(golden, source, per_layer):
    expected = tensors(golden, "vision_branch")["features"]
    backbone, _ = made(golden, source, bias_per_layer=per_layer)
    branch = DenseBranch(backbone.config)
    patches = branch.embed(backbone.encoder, tensors(golden, "inputs_vl")["src_images"])
    tokens = branch(backbone.encoder, patches, 0, backbone.config.depth).tokens
    assert (tokens - expected).abs().max() <= 3e-5


@torch.no_grad()
def test_segmentation_has_a_larger_table_for_each_layer(golden, source, official):
    """Spec: checkpoint, section 4, the row of segmentation."""
    side = 2 * table(golden, PRETRAINING)["model"]["encoder"]["image_adapter"]["rel_bucket_size"]
    backbone, _ = made(golden, source, side * PATCH, 0, bias_per_layer=True)
    image = backbone.encoder.adapter("image")
    stored = official["image_adapter.rel_pos_table_list.0.weight"]
    larger = enlarge_relative_table(stored, side)
    assert larger.shape == ((2 * side - 1) ** 2 + 3, backbone.config.heads)
    assert len(image.bias.tables) == backbone.config.depth
    assert all(torch.equal(each, larger) for each in image.bias.tables)
    positions = official["image_adapter.pos_embed"]
    assert torch.equal(image.position_table, resize_positions(positions, (side, side)))


@torch.no_grad()
def test_detection_keeps_the_table_and_resizes_positions(golden, source, official):
    """Spec: checkpoint, section 4, the row of detection."""
    backbone, _ = made(golden, source, position_side=20)
    image = backbone.encoder.adapter("image")
    assert torch.equal(image.bias.tables[0], official["image_adapter.rel_pos_table_list.0.weight"])
    positions = official["image_adapter.pos_embed"]
    assert torch.equal(image.position_table, resize_positions(positions, (20, 20)))
    branch = DenseBranch(backbone.config, window_size=4, global_blocks=[1], rel_pos_size=20, cls_token=False)
    assert not any(p.any() for p in branch.parameters())  # they start at zero
    pictures = torch.randn(1, 3, 320, 320, generator=torch.Generator().manual_seed(0))
    (found,) = branch.features(backbone.encoder, pictures, [backbone.config.depth - 1])
    assert found.shape == (1, backbone.config.width, 20, 20)
