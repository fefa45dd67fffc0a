"""The whole backbone: every switch trains, the scale is clamped, embeddings, layers of parameters."""

import math
from typing import Any

import pytest
import torch

from onepeace_pl.backbone import Backbone, ForwardPass
from onepeace_pl.errors import UserError

from ..samples import ADAPTERS, ALL, fields, hide, make

SWITCHES: dict[str, dict[str, Any]] = {
    "scale_heads": {"scale_heads": True},
    "out_norm": {"out_norm": True},
    "no sub_norm": {"sub_norm": False},
    "no feed_forward_norm": {"feed_forward_norm": False},
    "no layer_scale": {"layer_scale": 0.0},
    "no position_bias": {"position_bias": False},
    "bias_per_layer": {"bias_per_layer": True},
    "separate attention": {"share_attention": False},
    "shared feed-forward": {"share_feed_forward": True},
    "dropouts": {"dropout": 0.2, "attention_dropout": 0.2, "activation_dropout": 0.2},
    "drop_path": {"drop_path": 0.3},
    "drop_path of a subset": {"drop_path": 0.5, "drop_path_mode": "subset"},
    "full": {"activation_checkpointing": "full", "drop_path": 0.3},
    "embedding_norm": {"adapters": {"embedding_norm": True}},
    "shrink": {"adapters": {"shrink": 0.5}},
    "linear patches": {"adapters": {"patch_stem": "linear"}},
    "norm before audio positions": {"adapters": {"position_pre_norm": True}},
    "types": {"adapters": {"types": 2}},
}
IN_TRAINING = ("dropouts", "drop_path", "drop_path of a subset", "full", "shrink")
TAKES = {
    "text": {"embedding_norm", "shrink", "types"},
    "audio": {"embedding_norm", "shrink", "position_pre_norm"},
}
TAKES["image"] = TAKES["text"] | {"patch_stem"}


def build(options: dict[str, Any], **more: Any) -> Backbone:
    given = options.get("adapters", {})
    adapters = {}
    for name in ("text", "image", "audio"):
        mine = {k: v for k, v in given.items() if k in TAKES[name]}
        adapters[name] = lambda config, n=name, o=mine: ADAPTERS[n](config, **o)
    return make(**{k: v for k, v in options.items() if k != "adapters"}, adapters=adapters, **more)


STREAMS = [
    ForwardPass(("text",)),
    ForwardPass(("image",)),
    ForwardPass(("audio",)),
    ForwardPass(("text", "image", "audio"), grad=False),
    ForwardPass(("text", "image", "audio"), {name: hide(name) for name in ("text", "image", "audio")}),
]


def loss_of(backbone: Backbone, inputs: Any) -> torch.Tensor:
    features, scale = backbone(inputs, STREAMS)
    a, b, c = (next(iter(f.embeddings.values())) for f in features[:3])
    restored = sum((r - features[3].tokens[n]).square().mean() for n, r in features[4].reconstructed.items())
    return scale * ((a - b).square().sum() + (b - c).square().sum()) + restored


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_switch_trains(switch: str) -> None:
    backbone, inputs = build(SWITCHES[switch]).train(), fields(("text", "image", "audio"))
    optimizer = torch.optim.SGD([p for p in backbone.parameters() if p.requires_grad], lr=1e-3)
    loss_of(backbone, inputs).backward()
    for name, parameter in backbone.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
    torch.nn.utils.clip_grad_norm_(backbone.parameters(), 1.0)
    with torch.no_grad():
        before = loss_of(backbone.eval(), inputs).item()
        optimizer.step()
        assert loss_of(backbone, inputs).item() < before


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_switch_is_off_by_default_and_changes_the_model(switch: str) -> None:
    plain, switched = build({}), build(SWITCHES[switch])
    shapes = [{n: tuple(t.shape) for n, t in b.state_dict().items()} for b in (plain, switched)]
    assert (shapes[0] == shapes[1]) == (switch in IN_TRAINING)


@torch.no_grad()
@pytest.mark.parametrize("switch", IN_TRAINING)
def test_what_acts_in_training_is_off_in_evaluation(switch: str) -> None:
    plain, switched, inputs = (
        build({}).eval(),
        build(SWITCHES[switch]).eval(),
        fields(("text", "image", "audio")),
    )
    switched.load_state_dict(plain.state_dict())
    for name, vector in plain.embed(inputs).items():
        assert torch.allclose(switched.embed(inputs)[name], vector, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"drop_path": 0.5}, {"drop_path": 0.5, "drop_path_mode": "subset"}])
def test_recomputing_gives_the_same_numbers_and_gradients(options: dict[str, Any]) -> None:
    results = []
    for mode in ("none", "full"):
        backbone, inputs = make(activation_checkpointing=mode, **options).train(), fields()
        torch.manual_seed(7)
        loss = loss_of(backbone, inputs)
        loss.backward()
        results.append(
            (loss.item(), {n: p.grad for n, p in backbone.named_parameters() if p.grad is not None})
        )
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-6)
    assert results[0][1].keys() == results[1][1].keys()
    for name, gradient in results[0][1].items():
        assert torch.allclose(gradient, results[1][1][name], rtol=1e-4, atol=1e-5), name


@pytest.mark.parametrize(("start", "expected"), [(-3.0, 0.0), (2.5, 2.5), (9.0, math.log(100))])
def test_scale_is_clamped_and_keeps_its_gradient(start: float, expected: float) -> None:
    backbone = make(("text",), decoder=False)
    backbone.reset_parameters()
    assert backbone.logit_scale.exp().item() == pytest.approx(1 / 0.07, rel=1e-6)
    with torch.no_grad():
        backbone.logit_scale.fill_(start)
    _, scale = backbone(fields(("text",)), [ForwardPass(("text",))])
    assert scale.shape == ()
    assert scale.item() == pytest.approx(math.exp(expected), rel=1e-5)
    scale.backward()
    assert backbone.logit_scale.grad.item() == pytest.approx(math.exp(expected), rel=1e-5)
    backbone.clamp_logit_scale()
    assert backbone.logit_scale.item() == pytest.approx(expected)


@torch.no_grad()
def test_embeddings_alone_and_joint() -> None:
    backbone, inputs = make().eval(), fields()
    alone = backbone.embed(inputs)
    assert list(alone) == list(ALL)
    for name, vector in alone.items():
        features, _ = backbone(inputs, [ForwardPass((name,))])
        tokens = features[0].tokens[name][:, 0]
        projected = backbone.encoder.projections[name].weight @ tokens.T
        projected = projected.T + backbone.encoder.projections[name].bias
        assert torch.allclose(vector, projected / projected.norm(dim=1, keepdim=True), atol=1e-5)
    features, _ = backbone(inputs, [ForwardPass(ALL)])
    total = torch.stack(list(features[0].embeddings.values())).mean(0)
    joint = backbone.embed_jointly(inputs)
    assert torch.allclose(joint, total / total.norm(dim=1, keepdim=True), atol=1e-5)
    assert torch.allclose(joint, backbone.embed_jointly(dict(reversed(inputs.items()))), atol=1e-5)


@torch.no_grad()
def test_fusion() -> None:
    backbone, inputs = make().eval(), fields()
    alone = backbone.embed(inputs)
    total = torch.stack([vector / vector.norm(dim=1, keepdim=True) for vector in alone.values()]).sum(0)
    added = backbone.embed_fused(inputs, "sum")
    assert torch.allclose(added, total / total.norm(dim=1, keepdim=True), atol=1e-5)
    assert torch.equal(backbone.embed_fused(inputs, "joint"), backbone.embed_jointly(inputs))
    assert torch.equal(backbone.embed_fused({"text": inputs["text"]}, "joint"), alone["text"])
    assert torch.equal(backbone.embed_fused(inputs), added)
    trained = make(fuse="joint").eval()
    trained.load_state_dict(backbone.state_dict())
    assert torch.equal(trained.embed_fused(inputs), backbone.embed_jointly(inputs))
    assert trained.to_config()["fuse"] == "joint"
    some = make(joint=[["image", "text"]]).eval()
    some.load_state_dict(backbone.state_dict())
    two = {name: inputs[name] for name in ("text", "image")}
    assert torch.equal(some.embed_fused(two), backbone.embed_jointly(two))
    assert torch.equal(some.embed_fused(inputs), added)
    assert some.default_fuse(["text", "image:reference"]) == "joint"
    assert some.default_fuse(["text", "audio"]) == some.default_fuse(["text", "image", "audio"]) == "sum"
    assert Backbone.from_config(some.to_config()).joint == (("text", "image"),)
    with pytest.raises(UserError, match=r"^joint: text, smell are no two or more of the modalities text"):
        make(joint=[["text", "smell"]])
    with pytest.raises(UserError, match=r"^fuse='mean': choose one of sum, joint$"):
        backbone.embed_fused(inputs, "mean")
    with pytest.raises(UserError, match=r"^fuse='mean'"):
        make(fuse="mean")


def test_layers_of_parameters() -> None:
    backbone = make(bias_per_layer=True)
    assert backbone.depth == 2
    layers = {
        "encoder.adapters.text.token_table": 0,
        "encoder.adapters.touch.embed.weight": 0,
        "encoder.adapters.touch.bias.tables.0": 1,
        "encoder.adapters.touch.bias.tables.1": 2,
        "encoder.transformer.blocks.0.feed_forward.audio.expand.weight": 1,
        "encoder.transformer.blocks.1.attention_scale.gamma": 2,
        "encoder.transformer.norms.text.weight": 3,
        "encoder.projections.text.weight": 3,
        "decoder.transformer.blocks.0.attention_norm.shared.weight": 3,
        "logit_scale": 3,
    }
    names = {name for name, _ in backbone.named_parameters()}
    assert layers.keys() <= names
    assert {name: backbone.layer_of(name) for name in layers} == layers
