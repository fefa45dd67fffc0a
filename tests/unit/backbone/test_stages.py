"""Which parameters train, and that everything else stays as it was, to the bit."""

import pytest
import torch

from onepeace_pl.backbone import Backbone, Extend, Stream
from onepeace_pl.backbone.stages import KEYED
from onepeace_pl.nn.routing import SHARED
from onepeace_pl.optim import build_optimizer

from ..samples import ADAPTERS, ALL, Touch, fields, hide, make

OWN = ("audio", "touch")


def trainable(backbone: Backbone) -> set[str]:
    return {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}


def without_effect(backbone: Backbone) -> set[str]:
    decoder = {f"decoder.adapters.{name}.summary" for name in ("text", "image", "audio")}
    audio = {f"{part}.adapters.audio.mask_embedding" for part in ("encoder", "decoder")}
    return (decoder | audio) & {name for name, _ in backbone.named_parameters()}


def test_everything_trains_in_the_first_stage() -> None:
    backbone = make()
    everything = {name for name, _ in backbone.named_parameters()}
    assert len(without_effect(backbone)) == 5
    assert trainable(backbone) == everything - without_effect(backbone)


def test_nothing_trains_in_a_frozen_backbone() -> None:
    assert trainable(make(stage="frozen")) == set()


@pytest.mark.parametrize("name", OWN)
def test_extending_trains_what_belongs_to_the_new_modality_and_the_decoder(name: str) -> None:
    backbone = make(stage=Extend(name))
    encoder = {n for n in trainable(backbone) if n.startswith("encoder.")}
    places = [
        f"encoder.adapters.{name}.",
        f"encoder.projections.{name}.",
        f"encoder.transformer.norms.{name}.",
    ]
    places += [f"encoder.transformer.blocks.{i}.feed_forward.{name}." for i in range(2)]
    wanted = {n for n, _ in backbone.named_parameters() for place in places if n.startswith(place)}
    assert all(any(n.startswith(place) for n in wanted) for place in places)
    assert encoder == wanted - without_effect(backbone)
    rest = {n for n, _ in backbone.named_parameters() if n.startswith("decoder.")} | {"logit_scale"}
    assert trainable(backbone) - encoder == rest - without_effect(backbone)


@pytest.mark.parametrize("name", OWN)
def test_separate_attention_grows_with_the_modality(name: str) -> None:
    backbone = make(stage=Extend(name), share_attention=False)
    for part in ("attention_norm", "attention.project_in", "attention.project_out"):
        block = f"encoder.transformer.blocks.0.{part}"
        own = {n for n, _ in backbone.named_parameters() if n.startswith(f"{block}.{name}.")}
        assert own
        assert {n for n in trainable(backbone) if n.startswith(block)} == own


def test_a_task_that_reads_some_modalities_trains_those() -> None:
    backbone = make()
    backbone.apply_stage(("text", "touch"))
    names = trainable(backbone)
    assert not [n for n in names if ".image" in n or ".audio" in n]
    assert {"encoder.adapters.touch.summary", "decoder.adapters.text.mask_token", "logit_scale"} <= names
    assert "encoder.transformer.blocks.0.attention.project_in.shared.weight" in names


def test_the_decoder_trains_for_what_is_restored() -> None:
    backbone = make()
    backbone.apply_stage(("text", "touch"), restored=())
    assert not [n for n in trainable(backbone) if n.startswith("decoder")]
    backbone.apply_stage(("text", "touch"), restored=("touch",))
    decoder = [n for n in trainable(backbone) if n.startswith("decoder")]
    assert "decoder.adapters.touch.mask_token" in decoder
    assert "decoder.transformer.blocks.0.attention.project_in.shared.weight" in decoder
    assert not [n for n in decoder if ".text" in n]
    assert "encoder.adapters.text.token_table" in trainable(backbone)


@pytest.mark.parametrize("separate", [False, True])
def test_every_part_of_a_modality_is_under_a_known_module(separate: bool) -> None:
    backbone = make(share_attention=not separate)
    for name, module in backbone.named_modules():
        if isinstance(module, torch.nn.ModuleDict) and SHARED not in module:
            assert set(module) == set(ALL)
            assert name.rpartition(".")[2] in KEYED, name


@pytest.mark.parametrize("name", ["bias", "weight", "linear", "norm", "encoder", "feed_forward"])
def test_a_modality_may_be_called_like_a_parameter(name: str) -> None:
    backbone = make(adapters={"text": ADAPTERS["text"], name: Touch}, stage=Extend(name), decoder=False)
    owned = (f"adapters.{name}.", f"projections.{name}.", f"norms.{name}.", f"feed_forward.{name}.")
    assert all(n == "logit_scale" or any(part in n for part in owned) for n in trainable(backbone))
    assert len(trainable(backbone)) > 10


@pytest.mark.parametrize("name", ["shared", "a.b", "keys", "forward", "two words", ""])
def test_impossible_names_of_modalities(name: str) -> None:
    with pytest.raises(ValueError, match=f"a modality cannot be called {name!r}; choose a word"):
        make(adapters={"text": ADAPTERS["text"], name: Touch})


def test_unknown_stages() -> None:
    with pytest.raises(ValueError, match="no stage 'vision_langauge'; did you mean 'vision_language'"):
        make(stage="vision_langauge")
    with pytest.raises(
        ValueError, match=r"no stage '3'; there are vision_language, frozen, \{extend: MODALITY\}, \{last: "
    ):
        make(stage="3")
    with pytest.raises(ValueError, match="extends by 'smell', but the adapters are text, image"):
        make(("text", "image"), stage=Extend("smell"))
    with pytest.raises(ValueError, match="at least one adapter"):
        make((), stage=Extend("audio"))


@pytest.mark.parametrize("name", OWN)
def test_training_a_new_modality_leaves_all_others_as_they_were(name: str) -> None:
    backbone, old = make(stage=Extend(name)), tuple(n for n in ALL if n != name)
    inputs = fields()

    def embeddings() -> dict[str, torch.Tensor]:
        backbone.eval()
        with torch.no_grad():
            made = backbone.embed({n: inputs[n] for n in old})
            made["all"] = backbone.embed_jointly({n: inputs[n] for n in old})
        backbone.train()
        return made

    before, vectors = {n: t.clone() for n, t in backbone.state_dict().items()}, embeddings()
    backbone.apply_stage(("text", name))
    learning = trainable(backbone)
    optimizer = build_optimizer(backbone, lambda groups: torch.optim.AdamW(groups, lr=0.1, weight_decay=0.5))
    streams = [
        Stream(("text",), grad=False),
        Stream((name,)),
        Stream(("text", name), {"text": hide("text"), name: hide(name)}),
    ]
    for _ in range(3):
        optimizer.zero_grad()
        features, scale = backbone(inputs, streams)
        loss = scale * (features[0].embeddings["text"] * features[1].embeddings[name]).sum()
        (loss + sum(r.square().sum() for r in features[2].restored.values())).backward()
        torch.nn.utils.clip_grad_norm_(backbone.parameters(), 0.1)
        optimizer.step()
    for parameter, value in backbone.state_dict().items():
        changed = not torch.equal(value, before[parameter])
        assert changed == (parameter in learning), parameter
    for n, vector in embeddings().items():
        assert torch.equal(vector, vectors[n]), n
