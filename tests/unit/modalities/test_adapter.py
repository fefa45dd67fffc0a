"""The contract of adapters: CLS token, positions, views, switches; and the base for new modalities."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from onepeace_pl.errors import UserError
from onepeace_pl.modalities import ModalityInput, SequenceAdapter, TextAdapter, View
from onepeace_pl.nn import TransformerConfig

from ..samples import ADAPTERS, ALL, field, hide

SIZES = {"width": 32, "depth": 2, "heads": 2, "feed_forward": 64}


def config(**options: Any) -> TransformerConfig:
    return TransformerConfig(**SIZES, **options)


def adapter(name: str, transformer: TransformerConfig | None = None, **options: Any):
    torch.manual_seed(0)
    made = partial(ADAPTERS[name], **options)(transformer or config())
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return made


@pytest.mark.parametrize("name", ALL)
def test_tokens(name: str) -> None:
    made, inputs = adapter(name), field(name)
    (tokens,) = made(inputs, [View()])
    length = tokens.length
    assert tokens.embeddings.shape == (3, length, 32)
    assert tokens.padding is inputs.padding
    assert [bias.shape for bias in tokens.bias] == [(1, 2, length, length)]
    contents = made.stem(inputs.values)
    assert contents.shape == (3, length - 1, 32)
    positions = made.positions(torch.cat([contents[:, :1], contents], dim=1), None)
    assert torch.allclose(tokens.embeddings[:, 1:], contents + positions[:, 1:], atol=1e-6)
    assert torch.allclose(tokens.embeddings[:, 0], made.cls_token + positions[:, 0], atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_views_share_a_stem_and_each_has_its_own_gradient(name: str) -> None:
    made, inputs, mask = adapter(name), field(name), hide(name)
    full, visible, teacher = made(inputs, [View(), View(mask), View(grad=False)])
    assert torch.equal(full.embeddings, teacher.embeddings)
    assert [t.embeddings.requires_grad for t in (full, visible, teacher)] == [True, True, False]
    assert visible.embeddings.shape[:2] == mask.keep.shape
    assert visible.padding is mask.keep_padding
    assert visible.length == full.length
    (bias,) = visible.bias
    assert bias.shape == (3, 2, mask.keep.shape[1], mask.keep.shape[1])
    rows = torch.arange(3)[:, None]
    if name != "audio":  # whose positions come from the frames that are left
        assert torch.allclose(visible.embeddings, full.embeddings[rows, mask.keep], atol=1e-6)
    full_bias = full.bias[0][0].permute(1, 2, 0)[mask.keep[:, :, None], mask.keep[:, None, :]]
    assert torch.allclose(bias, full_bias.permute(0, 3, 1, 2), atol=1e-6)
    made(inputs, [View(grad=False)])[0]
    assert not made(inputs, [View(grad=False)])[0].embeddings.requires_grad


@pytest.mark.parametrize("name", ALL)
def test_a_bias_for_each_layer_and_none(name: str) -> None:
    inputs = field(name)
    assert len(adapter(name, config(bias_per_layer=True))(inputs, [View()])[0].bias) == 2
    without = adapter(name, config(position_bias=False))
    assert without(inputs, [View()])[0].bias == []
    assert not [n for n, _ in without.named_parameters() if "tables" in n]


@pytest.mark.parametrize("name", ["text", "image", "audio"])
def test_embedding_norm_comes_before_positions(name: str) -> None:
    plain, normed = adapter(name), adapter(name, embedding_norm=True)
    normed.load_state_dict(plain.state_dict() | {f"norm.{k}": v for k, v in normed.norm.state_dict().items()})
    inputs = field(name)
    (tokens,), (other,) = plain(inputs, [View()]), normed(inputs, [View()])
    contents = plain.stem(inputs.values)
    x = torch.cat([plain.cls_token.expand(3, 1, 32), contents], dim=1)
    positions = plain.positions(x, None)
    assert torch.allclose(tokens.embeddings, x + positions, atol=1e-5)
    assert torch.allclose(other.embeddings, normed.norm(x) + positions, atol=1e-5)


@pytest.mark.parametrize("name", ["text", "image", "audio"])
def test_shrink_scales_the_gradient_alone(name: str) -> None:
    whole, shrunk, inputs = adapter(name), adapter(name, shrink=0.25), field(name)
    gradients = []
    for made in (whole, shrunk):
        (tokens,) = made(inputs, [View()])
        gradients.append((tokens.embeddings, torch.autograd.grad(tokens.embeddings.sum(), made.cls_token)[0]))
    assert torch.allclose(gradients[0][0], gradients[1][0], atol=1e-6)
    assert torch.allclose(gradients[0][1] * 0.25, gradients[1][1], atol=1e-6)


def test_types_are_added_up_to_the_kind() -> None:
    made, plain = adapter("image", types=2), adapter("image")
    plain.load_state_dict({n: t for n, t in made.state_dict().items() if n != "type_embeddings"})
    fresh = ADAPTERS["image"](config(), types=2)
    assert fresh.type_embeddings.shape == (2, 32)
    assert not fresh.type_embeddings.any()
    inputs = field("image")
    (base,) = plain(inputs, [View()])
    for kind, added in ((0, made.type_embeddings[0]), (1, made.type_embeddings.sum(0))):
        (tokens,) = made(ModalityInput(inputs.values, None, kind), [View()])
        assert torch.allclose(tokens.embeddings, base.embeddings + added, atol=1e-6)


def test_dropout_on_tokens() -> None:
    made, inputs = adapter("touch", config(dropout=0.5)), field("touch")
    dropped = (made.train()(inputs, [View()])[0].embeddings == 0).float().mean().item()
    assert dropped == pytest.approx(0.5, abs=0.08)
    assert (made.eval()(inputs, [View()])[0].embeddings != 0).all()


class Bare(SequenceAdapter):
    """As little as a new modality can be: no call of reset_parameters."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config, max_tokens=6, buckets=4)
        self.embed = nn.Linear(2, config.width)

    def stem(self, values: Tensor) -> Tensor:
        return self.embed(values)


def test_a_new_adapter_starts_with_sound_values_whatever_it_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "empty", lambda *size, **_: torch.zeros(*size).fill_(float("nan")))
    made = Bare(config(init_std=0.1))
    for tensor in (made.cls_token, made.position_table):
        assert 0.03 < tensor.std() < 0.08
        assert tensor.abs().max() <= 0.1 + 1e-6


def test_too_many_tokens_and_wrong_padding_are_told() -> None:
    made = Bare(config())
    assert made(ModalityInput(torch.zeros(1, 5, 2)), [View()])[0].length == 6
    with pytest.raises(ValueError, match="Bare: 7 tokens are more than the 6 it has positions for; shorten"):
        made(ModalityInput(torch.zeros(1, 6, 2)), [View()])
    with pytest.raises(ValueError, match="Bare: padding is for 5 tokens, but with the CLS token there are 6"):
        made(ModalityInput(torch.zeros(1, 5, 2), torch.zeros(1, 5, dtype=torch.bool)), [View()])


def test_a_stem_of_another_width_is_told() -> None:
    made = Bare(config())
    made.embed = nn.Linear(2, 7)
    with pytest.raises(
        UserError, match=r"Bare: stem returns \(1, 5, 7\), not \(batch, tokens without CLS, \d+\)"
    ):
        made(ModalityInput(torch.zeros(1, 5, 2)), [View()])


def test_every_option_is_kept() -> None:
    made = TextAdapter(config(), vocabulary=99, buckets=6, max_tokens=12, shrink=0.5, types=1)
    kept = (made.vocabulary, made.buckets, made.max_tokens, made.shrink, made.types, made.embedding_norm)
    assert kept == (99, 6, 12, 0.5, 1, False)


def test_adapting_leaves_other_tensors_alone() -> None:
    made = adapter("text", config(bias_per_layer=True))
    table, other = torch.randn(66, 2), torch.randn(3)
    adapted = made.adapt({"bias.tables.0": table, "cls_token": other})
    assert adapted.keys() == {"bias.tables.0", "bias.tables.1", "cls_token"}
    assert torch.equal(adapted["bias.tables.1"], table)
    assert adapted["bias.tables.1"] is not table
    assert adapted["cls_token"] is other
    layered = {"bias.tables.0": table, "bias.tables.1": table + 1}
    assert torch.equal(made.adapt(layered)["bias.tables.1"], table + 1)
