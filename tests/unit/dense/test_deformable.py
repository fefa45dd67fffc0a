import pytest
import torch

from onepeace_pl.dense.deformable import DeformableAttention, grid_points
from onepeace_pl.integrations.openmmlab import prepare

SHAPES = [(4, 6), (2, 3)]


def test_equals_mmcvs_module():
    prepare()
    from mmcv.ops import MultiScaleDeformableAttention

    torch.manual_seed(0)
    mine = DeformableAttention(16, heads=4, levels=2, points=3)
    theirs = MultiScaleDeformableAttention(16, 4, 2, 3, dropout=0.0, batch_first=True)
    names = {
        "offsets": "sampling_offsets",
        "weights": "attention_weights",
        "values": "value_proj",
        "project_out": "output_proj",
    }
    assert torch.allclose(
        mine.offsets.bias, theirs.sampling_offsets.bias, atol=1e-6
    )  # where heads look at first
    for name, other in names.items():
        for kind in ("weight", "bias"):
            torch.nn.init.normal_(getattr(getattr(mine, name), kind), std=0.3)
            getattr(theirs, other).load_state_dict(getattr(mine, name).state_dict())
    queries, maps = torch.randn(2, 5, 16), torch.randn(2, 30, 16)
    places = torch.rand(5, 2)
    found = mine(queries, places, maps, SHAPES)
    expected = theirs(
        queries,
        value=maps,
        identity=torch.zeros_like(queries),
        reference_points=places[None, :, None].expand(2, -1, 2, -1),
        spatial_shapes=torch.tensor(SHAPES),
        level_start_index=torch.tensor([0, 24]),
    )
    assert torch.allclose(found, expected, atol=1e-5)


def test_places_are_middles_of_cells():
    places = grid_points([(1, 2), (2, 1)], torch.device("cpu"))
    assert places.tolist() == [[0.25, 0.5], [0.75, 0.5], [0.5, 0.25], [0.5, 0.75]]


def test_heads_that_do_not_divide():
    with pytest.raises(ValueError, match="3 heads do not divide the inner width 8"):
        DeformableAttention(16, 3, 1, value_ratio=0.5)
