"""Which parameters train, and that everything else stays as it was, to the bit."""

import pytest
import torch

from onepeace_pl.backbone import Backbone, Extend, ForwardPass, Frozen, Last, LoRAStage, Stage, VisionLanguage
from onepeace_pl.backbone.stages import KEYED
from onepeace_pl.nn.sequence import SHARED
from onepeace_pl.optim import build_optimizer, parameter_groups

from ..samples import ADAPTERS, ALL, Touch, fields, hide, make

OWN = ("audio", "touch")


def trainable(backbone: Backbone) -> set[str]:
    return {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}


def without_effect(backbone: Backbone) -> set[str]:
    decoder = {f"decoder.adapters.{name}.cls_token" for name in ("text", "image", "audio")}
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
    assert {"encoder.adapters.touch.cls_token", "decoder.adapters.text.mask_token", "logit_scale"} <= names
    assert "encoder.transformer.blocks.0.attention.project_in.shared.weight" in names


def test_the_decoder_trains_for_what_is_restored() -> None:
    backbone = make()
    backbone.apply_stage(("text", "touch"), reconstructed=())
    assert not [n for n in trainable(backbone) if n.startswith("decoder")]
    backbone.apply_stage(("text", "touch"), reconstructed=("touch",))
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
        ForwardPass(("text",), grad=False),
        ForwardPass((name,)),
        ForwardPass(("text", name), {"text": hide("text"), name: hide(name)}),
    ]
    for _ in range(3):
        optimizer.zero_grad()
        features, scale = backbone(inputs, streams)
        loss = scale * (features[0].embeddings["text"] * features[1].embeddings[name]).sum()
        (loss + sum(r.square().sum() for r in features[2].reconstructed.values())).backward()
        torch.nn.utils.clip_grad_norm_(backbone.parameters(), 0.1)
        optimizer.step()
    for parameter, value in backbone.state_dict().items():
        changed = not torch.equal(value, before[parameter])
        assert changed == (parameter in learning), parameter
    for n, vector in embeddings().items():
        assert torch.equal(vector, vectors[n]), n


def test_the_last_blocks_and_what_follows_them() -> None:
    everything = trainable(make())
    found = {}
    for count in (0, 1, 2):
        found[count] = trainable(make(stage=Last(count)))
        blocks = {n.split(".")[3] for n in found[count] if n.startswith("encoder.transformer.blocks.")}
        assert blocks == {str(i) for i in range(2 - count, 2)}
        assert not [n for n in found[count] if n.startswith("encoder.adapters.") and "bias.tables" not in n]
    assert {n.split(".")[0] for n in found[0]} == {"encoder", "decoder", "logit_scale"}
    assert {n for n in found[0] if n.startswith("encoder.")} == {
        n for n in everything if n.startswith(("encoder.projections.", "encoder.transformer.norms."))
    }
    assert found[0] < found[1] < found[2] < everything
    # a shared table of positions belongs to the first block, others to their own
    assert "encoder.adapters.text.bias.tables.0" in found[2] - found[1]
    tables = trainable(make(stage=Last(1), bias_per_layer=True))
    assert "encoder.adapters.text.bias.tables.1" in tables
    assert "encoder.adapters.text.bias.tables.0" not in tables


def test_low_rank_adapters_train_and_the_rest_stays() -> None:
    plain, backbone = make(), make(stage=LoRAStage(3))
    added = set(dict(backbone.named_parameters())) - set(dict(plain.named_parameters()))
    decoder = {n for n in trainable(plain) if n.startswith("decoder.")}
    assert trainable(backbone) == added | decoder | {"logit_scale"}
    assert {n.rpartition(".")[2] for n in added} == {"lora_A", "lora_B"}
    assert all(n.startswith("encoder.transformer.blocks.") for n in added)
    assert len(added) == 2 * 2 * (2 + 2 * len(ALL))  # two tensors, two blocks, attention, feed-forwards
    backbone.apply_stage(("text",), reconstructed=())
    own = {n for n in added if not any(f".{name}." in n for name in ALL if name != "text")}
    assert trainable(backbone) == own | {"logit_scale"}


def test_targets_choose_layers() -> None:
    backbone = make(stage=LoRAStage(3, targets=("project_in", "feed_forward.touch.contract")))
    own = {n for n in trainable(backbone) if n.endswith("lora_A")}
    assert {n.split(".", 4)[4] for n in own} == {
        "attention.project_in.shared.lora_A",
        "feed_forward.touch.contract.lora_A",
    }


def test_a_low_rank_backbone_is_the_plain_one_at_first_and_merges_back() -> None:
    plain, backbone, inputs = make(), make(stage=LoRAStage(3, alpha=6.0)), fields()
    _, unexpected = backbone.load_state_dict(plain.state_dict(), strict=False)
    assert unexpected == []
    for name, parameter in backbone.named_parameters():
        if name.endswith("lora_B"):
            torch.nn.init.zeros_(parameter)  # the sample shakes every parameter
    with torch.no_grad():
        before = plain.eval().embed(inputs)
        for name, vector in backbone.eval().embed(inputs).items():
            torch.testing.assert_close(vector, before[name], rtol=0, atol=1e-6)
        for name, parameter in backbone.named_parameters():
            if name.endswith("lora_B"):
                parameter.normal_(std=0.1)
        learnt = backbone.embed(inputs)
        assert (learnt["text"] - before["text"]).abs().max() > 1e-3
        backbone.merge()
        for name, vector in backbone.embed(inputs).items():
            torch.testing.assert_close(vector, learnt[name], rtol=0, atol=1e-6)
    assert backbone.stage == VisionLanguage()
    assert backbone.state_dict().keys() == plain.state_dict().keys()
    assert trainable(backbone) == trainable(plain)


def test_adapters_on_the_meta_device_are_initialised_with_the_rest() -> None:
    with torch.device("meta"):
        backbone = make(("text",), noise=0.0, stage=LoRAStage(3))
    backbone.to_empty(device="cpu").initialise()
    state = backbone.state_dict()
    layer = "encoder.transformer.blocks.0.feed_forward.text.expand"
    assert state[f"{layer}.lora_A"].abs().max() > 0
    assert not state[f"{layer}.lora_B"].any()
    assert state[f"{layer}.weight"].abs().max() <= backbone.config.init_std


@pytest.mark.parametrize("stage", [Last(1), LoRAStage(3, targets=("project_in",))])
def test_layer_decay_knows_the_layers_of_what_trains(stage: Last | LoRAStage) -> None:
    backbone = make(("text",), decoder=False, stage=stage)
    names = {id(p): n for n, p in backbone.named_parameters()}
    scales = {names[id(p)]: g["lr_scale"] for g in parameter_groups(backbone, 0.5) for p in g["params"]}
    assert scales.keys() == trainable(backbone)
    assert scales["logit_scale"] == 1.0
    blocks = {n.split(".")[3]: scale for n, scale in scales.items() if "blocks" in n}
    assert blocks == ({"1": 0.5} if isinstance(stage, Last) else {"0": 0.25, "1": 0.5})


@pytest.mark.parametrize(
    "stage", [VisionLanguage(), Frozen(), Extend("text"), Last(0), LoRAStage(2, 4.0, 0.1, ("contract",))]
)
def test_stages_are_plain_data(stage: Stage) -> None:
    assert Stage.from_config(stage.to_config()) == stage
    backbone = make(("text",), decoder=False, stage=stage)
    again = Backbone.from_config(backbone.to_config())
    assert again.stage == stage
    assert trainable(again) == trainable(backbone)
    assert stage.saves_partially == (stage not in (VisionLanguage(), Extend("text")))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"lastt": 2}, "no stage key 'lastt'; did you mean 'last'"),
        ({"xyz": 2}, r"no stage key 'xyz'; there are vision_language, frozen, \{extend: MODALITY\}, .*RANK"),
        ({"last": 2, "lora": 4}, "{'last': 2, 'lora': 4} is no stage; there are"),
        ({"alpha": 2}, "{'alpha': 2} is no stage"),
        ({"last": 2, "alpha": 2}, "is no stage"),
        ({}, "is no stage"),
    ],
)
def test_data_that_are_no_stage(config: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Stage.from_config(config)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (Last(3), "stage trains the last 3 blocks, but the encoder has 2; choose 0 to 2"),
        (Last(-1), "the last -1 blocks"),
        (LoRAStage(0), "lora 0 must be at least 1"),
        (LoRAStage(4, alpha=0.0), "alpha 0.0 of lora must be above 0"),
        (LoRAStage(4, dropout=1.0), "dropout 1.0 of lora"),
        (LoRAStage(4, targets=()), "targets of lora are empty"),
        (LoRAStage(4, targets=("atention",)), "did you mean 'attention'"),
        (LoRAStage(4, targets=("feed_forward.smell",)), "names no layer"),
    ],
)
def test_stages_that_the_backbone_has_no_place_for(stage: Last | LoRAStage, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(("text",), stage=stage)


def test_adapters_are_added_once() -> None:
    with pytest.raises(ValueError, match="has low-rank adapters already; merge them first"):
        make(("text",), stage=LoRAStage(2)).adapt(LoRAStage(2))
