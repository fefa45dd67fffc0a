"""Any subset of modalities in one pass: order, padding, bias between modalities, passes in one call."""

from itertools import combinations

import pytest
import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone, ForwardPass
from onepeace_pl.backbone.encoder import join
from onepeace_pl.modalities import ModalityInput, Tokens, View

from ..samples import ALL, field, fields, hide, make, real

SUBSETS = [subset for size in range(1, 5) for subset in combinations(ALL, size)]
WITHOUT_AUDIO = [subset for subset in SUBSETS if "audio" not in subset]


def name_of(subset: tuple[str, ...]) -> str:
    return "+".join(subset)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return make().eval()


def run(backbone: Backbone, subset: tuple[str, ...], inputs: dict[str, ModalityInput]):
    return backbone(inputs, [ForwardPass(subset)])[0][0]


def close(a: Tensor, b: Tensor, bound: float = 1e-5) -> None:
    assert a.shape == b.shape
    assert (a - b).abs().max().item() <= bound


@pytest.mark.parametrize("subset", SUBSETS, ids=name_of)
def test_any_subset_in_one_pass(subset: tuple[str, ...]) -> None:
    backbone = make(decoder=False).train()
    features = run(backbone, subset, fields(subset))
    assert list(features.tokens) == list(features.embeddings) == list(subset)
    assert {n: t.shape[1] for n, t in features.tokens.items()} == features.lengths
    total = torch.zeros(())
    for name in subset:
        close(features.embeddings[name].norm(dim=1), torch.ones(3))
        total = total + (features.embeddings[name] * torch.randn(3, 32)).sum()
    total.backward()
    owned = [
        (name, parameter)
        for name, parameter in backbone.named_parameters()
        if any(part in subset for part in name.split(".")) and not name.endswith("mask_embedding")
    ]
    assert len(owned) >= 15 * len(subset)
    assert [name for name, parameter in owned if parameter.grad is None] == []
    strangers = [n for n, p in backbone.named_parameters() if p.grad is not None and p.grad.abs().max() > 0]
    assert not [n for n in strangers for part in n.split(".") if part in ALL and part not in subset]


@torch.no_grad()
@pytest.mark.parametrize("subset", [s for s in SUBSETS if len(s) > 1], ids=name_of)
def test_order_of_modalities_does_not_matter(backbone: Backbone, subset: tuple[str, ...]) -> None:
    inputs = fields(subset)
    forth, back = (run(backbone, order, inputs) for order in (subset, subset[::-1]))
    for name in subset:
        close(real(forth.tokens[name], inputs[name].padding), real(back.tokens[name], inputs[name].padding))
        close(forth.embeddings[name], back.embeddings[name])


@torch.no_grad()
@pytest.mark.parametrize("subset", [s for s in SUBSETS if len(s) > 1], ids=name_of)
def test_modalities_hear_of_each_other(backbone: Backbone, subset: tuple[str, ...]) -> None:
    inputs = fields(subset)
    together = run(backbone, subset, inputs)
    for name in subset:
        alone = run(backbone, (name,), inputs)
        assert (alone.embeddings[name] - together.embeddings[name]).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("subset", SUBSETS, ids=name_of)
def test_a_batch_gives_what_each_sample_gives_alone(backbone: Backbone, subset: tuple[str, ...]) -> None:
    inputs = fields(subset)
    batched = run(backbone, subset, inputs)
    for row in range(3):
        own = fields(subset, [row])
        assert all(field.padding is None for field in own.values())
        alone = run(backbone, subset, own)
        for name in subset:
            close(batched.embeddings[name][row], alone.embeddings[name][0])
            length = alone.tokens[name].shape[1]
            close(batched.tokens[name][row, :length], alone.tokens[name][0])


@torch.no_grad()
@pytest.mark.parametrize(("training", "hide_padding"), [(True, True), (True, False), (False, False)])
def test_last_frames_of_sounds_feel_the_padding_as_in_the_original(
    training: bool, hide_padding: bool
) -> None:
    adapter = make(("audio",), decoder=False).encoder.adapter("audio").train(training)
    adapter.hide_padding = hide_padding
    padded = adapter(field("audio", [1, 0], [100, 120]), [View()])[0].embeddings[0]
    alone = adapter(field("audio", [1], [100]), [View()])[0].embeddings[0]
    difference = (padded[:101] - alone).abs().amax(1)
    assert difference[:50].max() <= 1e-5  # five convolutions see 45 frames ahead
    assert difference[90:].max() > 1e-3


@torch.no_grad()
def test_in_evaluation_no_frame_of_a_sound_feels_the_padding(backbone: Backbone) -> None:
    adapter = backbone.encoder.adapter("audio")
    field_of_three = field("audio", [1, 0, 2], [100, 120, 3])
    padded = adapter(field_of_three, [View()])[0].embeddings
    for row, count in enumerate((100, 120, 3)):
        alone = adapter(field("audio", [(1, 0, 2)[row]], [count]), [View()])[0].embeddings[0]
        close(padded[row, : count + 1], alone)


@torch.no_grad()
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("subset", [s for s in WITHOUT_AUDIO if s != ("image",)], ids=name_of)
def test_padding_is_never_seen(subset: tuple[str, ...], bias: bool) -> None:
    backbone, inputs = make(decoder=False, position_bias=bias).eval(), fields(subset)
    before = run(backbone, subset, inputs)
    for name in set(subset) & {"text", "touch"}:
        values, padding = inputs[name].values.clone(), inputs[name].padding[:, 1:]
        values[padding] = 77 if name == "text" else 1e4
        inputs[name] = ModalityInput(values, inputs[name].padding)
    after = run(backbone, subset, inputs)
    for name in subset:
        close(real(before.tokens[name], inputs[name].padding), real(after.tokens[name], inputs[name].padding))


@torch.no_grad()
@pytest.mark.parametrize("subset", SUBSETS, ids=name_of)
def test_no_bias_between_modalities(backbone: Backbone, subset: tuple[str, ...]) -> None:
    inputs = fields(subset)
    parts = {name: backbone.encoder.adapter(name)(inputs[name], [View()])[0] for name in subset}
    sequence = join(parts)
    x, biases = sequence.tokens, sequence.biases
    assert len(biases) == 1
    assert biases[0].shape == (1, 2, x.shape[1], x.shape[1])
    for a in sequence.segments:
        for b in sequence.segments:
            block = biases[0][:, :, a.start : a.stop, b.start : b.stop]
            if a is b:
                assert torch.equal(block, parts[a.name].bias[0])
                assert block.abs().min() > 0
            else:
                assert not block.any()


def test_one_table_for_all_layers_beside_one_for_each() -> None:
    def tokens(count: int) -> Tokens:
        return Tokens(
            torch.zeros(1, 3, 4), None, [torch.full((1, 2, 3, 3), i + 1.0) for i in range(count)], 3
        )

    third = Tokens(torch.zeros(1, 2, 4), None, [], 2)
    biases = join({"a": tokens(1), "b": tokens(2), "c": third}).biases
    assert [bias[0, 0].diagonal().tolist() for bias in biases] == [
        [1, 1, 1, 1, 1, 1, 0, 0],
        [1, 1, 1, 2, 2, 2, 0, 0],
    ]


@torch.no_grad()
@pytest.mark.parametrize("subset", [("text",), ("image", "touch"), ALL], ids=name_of)
def test_tables_for_each_layer_that_are_copies_change_nothing(
    backbone: Backbone, subset: tuple[str, ...]
) -> None:
    layered = make(bias_per_layer=True).eval()
    state = backbone.state_dict()
    for name in ALL:
        prefix = f"encoder.adapters.{name}."
        own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        adapted = layered.encoder.adapter(name).adapt(own)
        state |= {f"{prefix}{k}": v for k, v in adapted.items()}
    layered.load_state_dict(state)
    inputs = fields(subset)
    shared, copied = run(backbone, subset, inputs), run(layered, subset, inputs)
    for name in subset:
        close(shared.embeddings[name], copied.embeddings[name], 1e-6)
    table = layered.encoder.adapter(subset[0]).bias.tables[1]
    table.add_(torch.randn(table.shape))
    other = run(layered, subset, inputs)
    assert (other.embeddings[subset[0]] - shared.embeddings[subset[0]]).abs().max() > 1e-4


STREAMS = [
    ForwardPass(("text",)),
    ForwardPass(("text", "image"), grad=False),
    ForwardPass(("text", "audio"), {"text": hide("text"), "audio": hide("audio")}),
    ForwardPass(("touch",), {"touch": hide("touch")}),
    ForwardPass(("touch", "image", "audio")),
]


def outputs_of(features) -> list[Tensor]:
    return [*features.tokens.values(), *features.embeddings.values(), *features.reconstructed.values()]


def test_passes_in_one_call_are_those_of_separate_calls() -> None:
    def gradients(calls: list[list[ForwardPass]]) -> tuple[list[Tensor], dict[str, Tensor]]:
        backbone, inputs = make(), fields()
        outputs = [o for call in calls for f in backbone(inputs, call)[0] for o in outputs_of(f)]
        generator = torch.Generator().manual_seed(1)
        weights = [torch.randn(o.shape, generator=generator) for o in outputs]
        sum((o * w).mean() for o, w in zip(outputs, weights, strict=True)).backward()
        return outputs, {n: p.grad for n, p in backbone.named_parameters() if p.grad is not None}

    outputs, together = gradients([STREAMS])
    again, apart = gradients([[stream] for stream in STREAMS])
    for a, b in zip(outputs, again, strict=True):
        close(a, b)
    assert together.keys() == apart.keys()
    for name, gradient in together.items():
        close(gradient, apart[name], 1e-5 * max(1.0, apart[name].abs().max().item()))


def test_a_pass_without_gradient_has_no_graph() -> None:
    features, _ = make()(fields(), STREAMS)
    for stream, feature in zip(STREAMS, features, strict=True):
        for output in outputs_of(feature):
            assert output.requires_grad == stream.grad


def test_a_pass_without_gradient_stays_so_beside_one_with() -> None:
    backbone, inputs = make(decoder=False), fields(("text",))
    features, _ = backbone(inputs, [ForwardPass(("text",), grad=False), ForwardPass(("text",))])
    assert not features[0].embeddings["text"].requires_grad
    close(features[0].embeddings["text"], features[1].embeddings["text"])
    features[1].embeddings["text"].sum().backward()
    assert backbone.encoder.adapter("text").cls_token.grad is not None


def test_each_stem_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = make()
    adapter, runs = backbone.encoder.adapter("text"), []
    stem = adapter.stem
    monkeypatch.setattr(adapter, "stem", lambda values: runs.append(0) or stem(values))
    backbone(fields(), STREAMS)
    assert len(runs) == 1


def test_unknown_modalities_are_named(backbone: Backbone) -> None:
    with pytest.raises(
        ValueError, match="the backbone has no modality 'smell'; it has text, image, audio, touch"
    ):
        backbone(fields(), [ForwardPass(("smell",))])
    with pytest.raises(ValueError, match="the batch has no 'image'; it has text"):
        backbone(fields(("text",)), [ForwardPass(("text", "image"))])


def test_a_pass_ends_where_it_is_told() -> None:
    backbone = make(("text", "image"))
    inputs = fields(("text", "image"))
    streams = [
        ForwardPass(("image",), stop_after=stop_after) for stop_after in ("projection", "norm", "blocks")
    ]
    (whole, normed, raw), _ = backbone(inputs, streams)
    assert whole.embeddings
    assert not normed.embeddings
    assert not raw.embeddings
    assert torch.allclose(normed.tokens["image"], whole.tokens["image"], atol=1e-6)
    norm = backbone.encoder.transformer.norms["image"]
    assert torch.allclose(norm(raw.tokens["image"]), whole.tokens["image"], atol=1e-5)


def test_a_modality_can_be_read_from_another_field() -> None:
    backbone = make(("text", "image"))
    inputs = fields(("text", "image"))
    inputs["second"] = field("image", (2, 1, 0))
    first = ForwardPass(("text", "image"))
    (one, two), _ = backbone(inputs, [first, ForwardPass(("text", "image"), fields={"image": "second"})])
    (expected,), _ = backbone({"text": inputs["text"], "image": inputs["second"]}, [first])
    assert torch.allclose(two.tokens["text"], expected.tokens["text"], atol=1e-5)
    assert not torch.allclose(one.tokens["text"], two.tokens["text"], atol=1e-4)
    with pytest.raises(ValueError, match="the batch has no 'third'"):
        backbone(inputs, [ForwardPass(("image",), fields={"image": "third"})])


@pytest.mark.parametrize("name", ["audio", "image", "touch"])
def test_repeating_what_the_stem_made(name: str) -> None:
    backbone = make(("text", name))
    texts = field("text", (0, 1, 2, 2, 1, 0))
    (features,), _ = backbone(
        {"text": texts, name: field(name)}, [ForwardPass(("text", name), repeat={name: 2})]
    )
    rows = field(name, (0, 0, 1, 1, 2, 2))
    (expected,), _ = backbone({"text": texts, name: rows}, [ForwardPass(("text", name))])
    assert torch.allclose(features.tokens["text"], expected.tokens["text"], atol=1e-5)
