"""Weights of inference: how close int8 and bf16 come, how small they are, and what they cannot do."""

import numpy as np
import pytest
import torch
from torch import nn

from onepeace_pl import OnePeace
from onepeace_pl.backbone.stages import LoRAStage
from onepeace_pl.cli import main as cli
from onepeace_pl.errors import UserError
from onepeace_pl.hub.export import export_model
from onepeace_pl.hub.weights import Int8, count_parameters, is_quantized, quantize_weights

from .conftest import TEXTS, make_model

SOUND = torch.randn(16000, generator=torch.Generator().manual_seed(0)).numpy()
ITEMS = {
    "text": TEXTS,
    "image": list(torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))),
    "audio": [SOUND[: 8000 + 2000 * i] for i in range(4)],
}


def size(model: OnePeace) -> int:
    return sum(each.nbytes for each in model.backbone.encoder.transformer.blocks.parameters())


@pytest.fixture
def folder(tmp_path):
    return make_model().save_pretrained(tmp_path / "m")


def test_int8_elements_are_within_half_a_step_of_the_weight():
    weight = torch.randn(5, 40)
    weight[3] = 0
    for dtype in (torch.float32, torch.bfloat16):
        elements, scales = Int8().right_inverse(weight.to(dtype))
        assert elements.dtype == torch.int8
        assert scales.dtype == dtype
        assert elements[[0, 1, 2, 4]].abs().amax(1).tolist() == [127] * 4
        step = scales.float()
        back = elements.float() * step
        assert ((back - weight.to(dtype).float()).abs() <= 0.51 * step).all()
        assert not back[3].any()


@pytest.mark.parametrize("name", ITEMS)
def test_vectors_are_close_to_those_of_float32(folder, name):
    whole = OnePeace.from_pretrained(folder, "cpu").encode(**{name: ITEMS[name]})
    for weights, least in (("float32", 1 - 1e-6), ("bf16", 0.999), ("int8", 0.9995)):
        vectors = OnePeace.from_pretrained(folder, "cpu", weights=weights).encode(**{name: ITEMS[name]})
        assert (vectors * whole).sum(1).min() > least
        assert torch.equal(vectors, whole) == (weights == "float32")


def test_int8_weights_are_four_times_smaller_and_linear_layers_alone(folder):
    whole, small = (OnePeace.from_pretrained(folder, "cpu", weights=w) for w in (None, "int8"))
    linear = [m for m in small.backbone.encoder.transformer.modules() if isinstance(m, nn.Linear)]
    stored = sum(m.parametrizations["weight"].original0.nbytes for m in linear)
    assert stored * 4 == sum(m.weight.nbytes for m in linear)
    assert size(small) < 0.45 * size(whole)  # scales are much, at this width
    assert count_parameters(small.backbone) == count_parameters(whole.backbone)
    assert "linear layers int8" in repr(small)
    projections = small.backbone.encoder.projections
    assert not is_quantized(whole.backbone)
    assert not any(isinstance(module, Int8) for module in projections.modules())


def test_int8_weights_take_the_dtype_of_activations(folder):
    model = OnePeace.from_pretrained(folder, "cpu", dtype="bfloat16", weights="int8")
    assert model.dtype == torch.bfloat16
    assert size(model) < 0.85 * size(OnePeace.from_pretrained(folder, "cpu", dtype="bfloat16"))
    vectors = model.encode(text=TEXTS)
    whole = OnePeace.from_pretrained(folder, "cpu").encode(text=TEXTS)
    assert (vectors * whole).sum(1).min() > 0.999
    assert model.to(dtype="float32").encode(text=TEXTS).dtype == torch.float32


def test_low_rank_adapters_are_merged():
    model = make_model()
    model.backbone.adapt(LoRAStage(4))
    with torch.no_grad():
        for name, parameter in model.backbone.named_parameters():
            if name.endswith("lora_B"):
                parameter.normal_(0, 0.2)
    before = model.encode(text=TEXTS)
    assert (before - make_model().encode(text=TEXTS)).abs().max() > 1e-2
    quantize_weights(model.backbone)
    assert not any("lora" in name for name, _ in model.backbone.named_parameters())
    assert (before * model.encode(text=TEXTS)).sum(1).min() > 0.9995


def test_int8_weights_are_for_inference(folder, tmp_path):
    model = OnePeace.from_pretrained(folder, "cpu", weights="int8")
    with pytest.raises(UserError, match="int8 weights cannot be saved"):
        model.save_pretrained(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(UserError, match="int8 weights cannot be exported"):
        export_model(model, tmp_path / "exported", ["image"], "torch")
    model.backbone.train()
    model.encode(text=TEXTS)  # in evaluation mode, and back
    with pytest.raises(UserError, match="int8 weights cannot be trained"):
        model.backbone.embed({})


def test_wrong_weights(folder, capsys):
    with pytest.raises(UserError, match="weights='int4'"):
        OnePeace.from_pretrained(folder, weights="int4")
    with pytest.raises(UserError, match="weights='bf16' contradicts dtype='float16'"):
        OnePeace.from_pretrained(folder, dtype="float16", weights="bf16")
    assert OnePeace.from_pretrained(folder, "cpu", "bfloat16", weights="bf16").dtype == torch.bfloat16
    assert cli(["embed", str(folder), "--text", "a", "--weights", "int4"]) == 2
    assert "'int4'" in capsys.readouterr().err


def test_weights_of_a_command(folder, tmp_path):
    made = {}
    for weights in ("float32", "int8"):
        target = tmp_path / f"{weights}.npz"
        words = ["embed", str(folder), "--device", "cpu", "--weights", weights, "--to", str(target)]
        assert cli([*words, "--text", *TEXTS]) == 0
        made[weights] = np.load(target)["text"]
    assert 0 < np.abs(made["float32"] - made["int8"]).max() < 0.05
