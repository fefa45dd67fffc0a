"""Features of the dense branch against a slow computation, token by token where that says more."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.backbone import Backbone, DecoderConfig, ForwardPass, TransformerConfig
from onepeace_pl.dense import DenseBranch
from onepeace_pl.modalities import OFFICIAL, ModalityInput
from onepeace_pl.nn.interpolation import resize_positions
from onepeace_pl.optim.groups import parameter_groups

DEPTH = 2


def made(**options: object) -> Backbone:
    torch.manual_seed(0)
    image = OFFICIAL["image"].factory("debug")
    sizes = TransformerConfig("debug", **options)
    backbone = Backbone({"image": image}, sizes, DecoderConfig(depth=0))
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return backbone.eval()


def branch_of(backbone: Backbone, **options: object) -> DenseBranch:
    branch = DenseBranch(backbone.config, **options)
    for parameter in branch.parameters():
        torch.nn.init.normal_(parameter)
    return branch.eval()


def pictures(height: int, width: int, count: int = 2) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def relative(table: Tensor, dy: int, dx: int, reach: tuple[int, int]) -> Tensor:
    """Bias (H,) of an offset on a grid whose offsets go up to ``reach``, from a square table."""
    span = int((len(table) - 3) ** 0.5)
    image = table[:-3].view(span, span, -1)
    wanted = [2 * side - 1 for side in reach]
    for axis, size in enumerate(wanted):  # only an axis that is too short is stretched
        if size < span:
            image = image.narrow(axis, (span - size) // 2, size)
    if max(wanted) > span:
        image = F.interpolate(image.permute(2, 0, 1)[None], size=wanted, mode="bicubic")[0].permute(1, 2, 0)
    return image[dy + image.shape[0] // 2, dx + image.shape[1] // 2]


def slow(backbone: Backbone, branch: DenseBranch, images: Tensor) -> Tensor:
    """(B, D, h, w) behind all blocks, one window and one head at a time, without CLS."""
    encoder, config = backbone.encoder, backbone.config
    adapter = encoder.adapter("image")
    x = adapter.patches(images).permute(0, 2, 3, 1)
    height, width = x.shape[1:3]
    x = x + resize_positions(adapter.position_table, (height, width))[1:].view(height, width, -1)
    heads, size = config.heads, config.width // config.heads
    for number, block in enumerate(encoder.transformer.blocks):
        side = branch.window_size if branch.window_size and number not in branch.global_blocks else 0
        steps = (side or height, side or width)
        normed = block.attention_norm["shared"](x)
        project = block.attention.project_in["shared"]
        q, k, v = (normed @ w.t() for w in project.weight.split(config.width))
        q, v = q + project.query_bias, v + project.value_bias
        table = adapter.bias.tables[0]
        seen = torch.zeros_like(x)
        for top in range(0, height, steps[0]):
            for left in range(0, width, steps[1]):
                places = [
                    (y, z)
                    for y in range(top, min(top + steps[0], height))
                    for z in range(left, min(left + steps[1], width))
                ]
                ys, zs = (torch.tensor(axis) for axis in zip(*places, strict=True))
                dy, dx = ys[:, None] - ys, zs[:, None] - zs
                known = relative(table, dy, dx, steps)
                for head in range(heads):
                    part = slice(head * size, (head + 1) * size)
                    a, b, c = (t[:, ys, zs, part] for t in (q, k, v))
                    scores = a @ b.transpose(1, 2) * size**-0.5 + known[..., head]
                    if branch.decomposed:
                        own = branch.decomposed[number]
                        rows, columns = stretched(own.rows, steps[0]), stretched(own.columns, steps[1])
                        scores += torch.einsum("bqk,qjk->bqj", a, rows[dy + steps[0] - 1])
                        scores += torch.einsum("bqk,qjk->bqj", a, columns[dx + steps[1] - 1])
                    seen[:, ys, zs, part] = scores.softmax(-1) @ c
        if block.attention.head_scale is not None:
            seen = seen * block.attention.head_scale.repeat_interleave(size)
        x = x + block.attention_scale(block.attention.project_out["shared"](seen))
        x = x + block.feed_forward_scale(block.feed_forward["image"](block.feed_forward_norm(x)))
    return x.permute(0, 3, 1, 2)


def stretched(table: Tensor, side: int) -> Tensor:
    if len(table) == 2 * side - 1:
        return table
    return F.interpolate(table.t()[None], size=2 * side - 1, mode="linear")[0].t()


WAYS = {
    "global": {},
    "windows": {"window_size": 4},
    "windows, one global block": {"window_size": 4, "global_blocks": [1]},
    "decomposed": {"rel_pos_size": 4},
    "windows, one global block, decomposed": {"window_size": 4, "global_blocks": [1], "rel_pos_size": 32},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [(64, 64), (96, 80), (32, 64), (96, 48)], ids=str)
@torch.no_grad()
def test_features(way: str, size: tuple[int, int]) -> None:
    backbone = made()
    branch = branch_of(backbone, cls_token=False, **WAYS[way])
    (found,) = branch.features(backbone.encoder, pictures(*size), [DEPTH - 1])
    torch.testing.assert_close(found, slow(backbone, branch, pictures(*size)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("way", ["global", "windows, one global block, decomposed"])
@torch.no_grad()
def test_features_of_512_pixels(way: str) -> None:
    backbone = made()
    branch = branch_of(backbone, cls_token=False, **WAYS[way])
    (found,) = branch.features(backbone.encoder, pictures(512, 512, 1), [DEPTH - 1])
    torch.testing.assert_close(found, slow(backbone, branch, pictures(512, 512, 1)), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_pictures_of_the_encoders_size_are_read_as_it_does() -> None:
    backbone = made()
    side = backbone.encoder.adapter("image").image_size
    given = pictures(side, side)
    branch = branch_of(backbone)
    patches = branch(backbone.encoder, branch.embed(backbone.encoder, given), 0, DEPTH)
    (expected,), _ = backbone({"image": ModalityInput(given)}, [ForwardPass(("image",), stop_after="blocks")])
    torch.testing.assert_close(patches.tokens, expected.tokens["image"], rtol=1e-5, atol=1e-5)
    assert torch.equal(patches.feature_map[0, :, 0, 1], patches.tokens[0, 2])


@torch.no_grad()
def test_blocks_that_nobody_asks_for_are_not_run() -> None:
    backbone = made()
    branch = branch_of(backbone)
    first, last = branch.features(backbone.encoder, pictures(64, 48), [0, 1])
    assert first.shape == last.shape == (2, backbone.config.width, 4, 3)
    backbone.encoder.transformer.blocks[1].register_forward_pre_hook(lambda *_: pytest.fail("was run"))
    (again,) = branch.features(backbone.encoder, pictures(64, 48), [0])
    assert torch.equal(first, again)


def test_recomputed_blocks_have_the_same_gradients() -> None:
    results = []
    for mode in ("none", "full"):
        backbone = made(activation_checkpointing=mode).train()
        branch = branch_of(
            backbone, cls_token=False, window_size=2, global_blocks=[1], rel_pos_size=4
        ).train()
        branch.features(backbone.encoder, pictures(64, 48), [DEPTH - 1])[0].square().sum().backward()
        named = [*backbone.named_parameters(), *branch.named_parameters()]
        results.append({name: p.grad for name, p in named if p.grad is not None})
    assert results[0].keys() == results[1].keys()
    assert "decomposed.0.rows" in results[0]
    for name, gradient in results[0].items():
        torch.testing.assert_close(gradient, results[1][name], msg=name)


@pytest.mark.parametrize("mode", ["bernoulli", "subset"])
def test_stochastic_depth_takes_or_leaves_whole_pictures(mode: str) -> None:
    backbone = made(drop_path=0.8, drop_path_mode=mode).train()
    branch = branch_of(backbone, cls_token=False, window_size=2)
    torch.manual_seed(3)
    start = branch.embed(backbone.encoder, pictures(64, 64, 8))
    with torch.no_grad():
        changed = branch(backbone.encoder, start, 1, 2).tokens != start.tokens
    per_picture = changed.flatten(1).float().mean(1)
    assert set(per_picture.gt(0.5).tolist()) == {True, False}
    assert bool(((per_picture == 0) | (per_picture > 0.99)).all())


def test_tables_of_blocks_are_looked_up_within_them() -> None:
    """With the same numbers in every table nothing changes; gradients reach each block's own."""
    one, several = made(), made(bias_per_layer=True)
    table = one.encoder.adapter("image").bias.tables[0]
    state = {n: p for n, p in one.state_dict().items() if "bias.tables" not in n}
    several.load_state_dict(state, strict=False)
    tables = several.encoder.adapter("image").bias.tables
    with torch.no_grad():
        for each in tables:
            each.copy_(table)
    given = pictures(96, 64)
    found = []
    for backbone in (one, several):
        (maps,) = branch_of(backbone).features(backbone.encoder, given, [DEPTH - 1])
        maps.square().sum().backward()
        found.append(maps)
    torch.testing.assert_close(*found)
    torch.testing.assert_close(sum(each.grad for each in tables), table.grad, rtol=1e-4, atol=1e-4)


def test_indices_of_few_grids_are_kept() -> None:
    backbone = made()
    branch = branch_of(backbone)
    for columns in range(1, 9):
        branch.features(backbone.encoder, pictures(32, 16 * columns, 1), [0])
    assert len(branch._indices) == 4


def test_decomposed_positions_learn_at_the_rate_of_their_block() -> None:
    backbone = made()
    whole = torch.nn.ModuleDict(
        {"backbone": backbone, "branch": branch_of(backbone, cls_token=False, rel_pos_size=4)}
    )
    scales = {}
    for group in parameter_groups(whole, 0.5):
        names = {id(p): n for n, p in whole.named_parameters()}
        scales |= {names[id(p)]: group["lr_scale"] for p in group["params"]}
    for block in range(DEPTH):
        own = scales[f"branch.decomposed.{block}.rows"]
        assert (
            own == scales[f"backbone.encoder.transformer.blocks.{block}.attention.project_in.shared.weight"]
        )


def test_bad_input() -> None:
    backbone = made()
    with pytest.raises(ValueError, match="windows exclude the CLS token"):
        DenseBranch(backbone.config, window_size=4)
    with pytest.raises(ValueError, match="no block 9; the encoder has 2"):
        DenseBranch(backbone.config, global_blocks=[1, 9])
    with pytest.raises(ValueError, match="60 x 64 pixels: sides must be multiples of 16"):
        DenseBranch(backbone.config).embed(backbone.encoder, pictures(60, 64))
