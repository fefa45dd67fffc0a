import pytest
import torch

from onepeace_pl.backbone import Backbone, DecoderConfig, TransformerConfig, from_preset
from onepeace_pl.dense import ViTAdapter
from onepeace_pl.dense.branch import stage_ends
from onepeace_pl.modalities import OFFICIAL


def made(**options):
    torch.manual_seed(0)
    image = OFFICIAL["image"].factory("debug")
    backbone = Backbone({"image": image}, TransformerConfig("debug", depth=4), DecoderConfig(depth=0))
    config = backbone.config
    return backbone, ViTAdapter(config, channels=8, **options)


@pytest.mark.parametrize("size", [(64, 64), (48, 80)], ids=str)
def test_maps_and_gradients(size):
    backbone, adapter = made(drop_path=0.2)
    adapter.train(), backbone.train()
    maps = adapter(backbone.encoder, torch.randn(3, 3, *size))
    width = backbone.config.width
    assert [tuple(m.shape) for m in maps] == [
        (3, width, -(-size[0] // s), -(-size[1] // s)) for s in (4, 8, 16, 32)
    ]
    sum((m * torch.randn_like(m)).sum() for m in maps).backward()
    named = dict(adapter.named_parameters())
    # the first injector is read by everything; with its factor of 1e-6 its gradients are small, not absent
    assert not [name for name, p in named.items() if p.grad is None]
    used = ("encoder.transformer.blocks", "encoder.adapters")
    assert all(p.grad is not None for n, p in backbone.named_parameters() if n.startswith(used))


@torch.no_grad()
def test_at_first_the_blocks_see_what_they_saw_before():
    backbone, adapter = made()
    backbone.eval(), adapter.eval()
    seen = []
    backbone.encoder.transformer.blocks[3].register_forward_hook(lambda m, i, out: seen.append(out[0]))
    pictures = torch.randn(2, 3, 64, 48)
    adapter(backbone.encoder, pictures)
    adapter.branch.features(backbone.encoder, pictures, [3])
    assert torch.allclose(*seen, atol=1e-4)
    assert not torch.equal(*seen)


def test_few_blocks_make_four_groups_all_the_same():
    assert (stage_ends(40), stage_ends(3)) == ([10, 20, 30, 40], [1, 2, 3, 3])
    backbone = from_preset("debug", ("image",), decoder=False)
    maps = ViTAdapter(backbone.config)(backbone.encoder, torch.randn(2, 3, 32, 32))
    assert [m.shape[-1] for m in maps] == [8, 4, 2, 1]
