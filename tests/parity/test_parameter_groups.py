"""Which parameters decay, and how much slower each learns, against the original's groups."""

import re
from functools import partial
from pathlib import Path

import pytest
from torch import Tensor, nn

from onepeace_pl.backbone import Backbone
from onepeace_pl.checkpoints.heads import head_to_official
from onepeace_pl.checkpoints.names import to_official
from onepeace_pl.heads import ClassificationHead
from onepeace_pl.optim import parameter_groups
from tests.parity.files import record
from tests.parity.reference import NO_DECODER, adapters, decoder, transformer

# A comma lost in the original's list makes this decay (and a dead vector). Nobody meant it; ours does not.
LOST = {"decoder_wrapper.image_adapter.pos_embed"}
# These reach no output; the original hands them to its optimiser, ours are frozen.
DEAD = re.compile(r"^decoder_wrapper\.\w+_adapter\.cls_embedding$|\.audio_adapter\.mask_embedding$")

MODELS = {
    "pretrain_3modal": lambda golden: Backbone(adapters(golden), transformer(golden), decoder(golden)),
    "image_text_retrieval": lambda golden: fine_tuned(golden, ("text", "image"), "image_text_retrieval"),
    "audio_text_retrieval": lambda golden: fine_tuned(golden, ("text", "audio"), "audio_text_retrieval"),
    "classify_nlvr2": lambda golden: NlvrModel(golden),
}


def fine_tuned(golden: Path, names: tuple[str, ...], run: str) -> Backbone:
    return Backbone(adapters(golden, names, run), transformer(golden, run, bias_per_layer=True), NO_DECODER)


class NlvrModel(nn.Module):
    """The backbone and the head of the task over two pictures."""

    def __init__(self, golden: Path) -> None:
        super().__init__()
        made = adapters(golden, ("text", "image"), "classify_nlvr2")
        made |= {"text": partial(made["text"], types=1), "image": partial(made["image"], types=2)}
        options = transformer(golden, "classify_nlvr2", bias_per_layer=True)
        self.backbone = Backbone(made, options, NO_DECODER)
        self.backbone.apply_stage(("text", "image"), stop_after="norm")
        self.head = ClassificationHead(self.backbone.config, 2, passes=2)


def official(name: str, tensor: Tensor) -> dict[str, Tensor]:
    if name.startswith("head."):
        return head_to_official({name.removeprefix("head."): tensor})
    return to_official({name.removeprefix("backbone."): tensor})


@pytest.mark.parametrize("model", MODELS)
def test_groups(model: str, golden: Path) -> None:
    reference = record(golden, "parameter_groups")[model]
    backbone = MODELS[model](golden)
    names = {id(p): name for name, p in backbone.named_parameters()}
    found = {}
    for group in parameter_groups(backbone, reference["layer_decay"]):
        for p in group["params"]:
            for name in official(names[id(p)], p.detach()):
                found[name] = (group["lr_scale"], group.get("weight_decay", reference["weight_decay"]))
    wrong = {}
    for name, expected in reference["parameters"].items():
        if DEAD.search(name):
            assert name not in found
            continue
        if name in LOST:
            expected = expected | {"weight_decay": 0.0}
        scale, decay = found.pop(name, (0, 0))
        if (scale, decay) != (pytest.approx(expected["lr_scale"], rel=1e-9), expected["weight_decay"]):
            wrong[name] = (scale, decay, expected)
    assert not wrong
    assert not found
