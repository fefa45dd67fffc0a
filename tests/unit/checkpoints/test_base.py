"""Partial checkpoints: base weights are found again, and refused once they have changed."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from onepeace_pl.backbone import Last, LoRAStage
from onepeace_pl.checkpoints.base import BaseWeights, check_base, fingerprint
from onepeace_pl.checkpoints.loading import load_weights, read_base, read_weights
from onepeace_pl.hub import save_folder

from ..samples import make


def test_a_fingerprint_notices_everything() -> None:
    state = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(1.0, dtype=torch.bfloat16)}
    known = fingerprint(state)
    assert fingerprint({"b": state["b"], "a": state["a"].t().contiguous().t()}) == known
    others = [
        {**state, "a": state["a"].view(3, 2)},
        {**state, "a": state["a"].double()},
        {**state, "a": state["a"].flip(0)},
        {**state, "b": state["b"] + 1},
        {"a": state["a"]},
        {"A": state["a"], "b": state["b"]},
    ]
    assert known not in {fingerprint(other) for other in others}


def test_base_weights_are_found_from_here_and_from_the_partial_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, weights = tmp_path / "runs/tuned/model", tmp_path / "runs/first/model"
    folder.mkdir(parents=True)
    weights.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    stored = BaseWeights("runs/first/model", "abc").to_config(folder)
    assert stored["relative"] == "../../first/model"
    base = BaseWeights.from_config(json.loads(json.dumps(stored)))
    assert base.candidates(folder) == [Path("runs/first/model")]
    monkeypatch.chdir("/")
    assert [place.resolve() for place in base.candidates(folder)] == [weights]
    assert "relative" not in BaseWeights(str(weights), "abc").to_config(folder)
    weights.rename(tmp_path / "elsewhere")
    with pytest.raises(
        FileNotFoundError,
        match=r"only the weights that were trained; the rest is in runs/first/model, .* bring it",
    ):
        base.candidates(folder)


def _rest(folder: Path, base: str, own: dict[str, torch.Tensor]) -> None:
    """Write the part of a model folder that is read here."""
    folder.mkdir()
    if own:
        save_file(own, folder / "model.safetensors")
    stored = BaseWeights.of(base, read_weights(Path(base))).to_config(folder)
    (folder / "config.json").write_text(json.dumps({"base": stored}))


def test_a_partial_folder_is_read_with_its_base_weights(tmp_path: Path) -> None:
    state = make(("text",)).state_dict()
    (tmp_path / "base").mkdir()
    save_file(state, tmp_path / "base/model.safetensors")
    _rest(tmp_path / "one", str(tmp_path / "base"), {"logit_scale": torch.ones(1, dtype=torch.bfloat16)})
    _rest(
        tmp_path / "two", str(tmp_path / "one"), {}
    )  # nothing of its own, as where a head alone was trained
    for path in ("one", "one/model.safetensors", "two"):
        read = read_weights(tmp_path / path)
        assert read.keys() == state.keys()
        assert read["logit_scale"].item() == 1
        assert {t.dtype for t in read.values()} == {torch.bfloat16}  # that of what was learnt
    assert read_base(tmp_path / "base") is None
    save_file({**state, "logit_scale": torch.ones(1)}, tmp_path / "base/model.safetensors")
    with pytest.raises(ValueError, match=r"base holds other weights than those that .*one was trained on"):
        read_weights(tmp_path / "two")


def test_frozen_weights_are_omitted(tmp_path: Path) -> None:
    save_file(make(("text",)).state_dict(), tmp_path / "base.safetensors")
    backbone = make(("text", "touch"), stage=Last(1))
    report = load_weights(backbone, tmp_path / "base.safetensors")
    omitted = report.omitted(backbone)
    learning = {n for n, p in backbone.named_parameters() if p.requires_grad}
    assert report.base is not None
    assert omitted | learning | set(report.new) == set(dict(backbone.named_parameters()))
    assert "encoder.adapters.text.token_table" in omitted
    assert "encoder.adapters.touch.embed.weight" not in omitted  # it does not learn, but nobody else has it
    assert not omitted & learning
    report = load_weights(plain := make(("text",)), tmp_path / "base.safetensors")
    assert report.base is None
    assert report.omitted(plain) == frozenset()


def test_adapters_are_not_lost_on_the_way(tmp_path: Path) -> None:
    state = make(("text",), stage=LoRAStage(2)).state_dict()
    save_file(state, tmp_path / "tuned.safetensors")
    with pytest.raises(
        ValueError, match=r"tuned.safetensors holds low-rank adapters, .*fold .*convert --merge"
    ):
        load_weights(make(("text",)), tmp_path / "tuned.safetensors")
    again = make(("text",), stage=LoRAStage(2))
    assert load_weights(again, tmp_path / "tuned.safetensors").new == []
    with pytest.raises(ValueError, match="lora_A has shape"):
        load_weights(make(("text",), stage=LoRAStage(3)), tmp_path / "tuned.safetensors")


def test_of_several_places_the_one_with_the_right_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another project may have a run of the same name."""
    for project in ("here", "there"):
        (tmp_path / project / "base").mkdir(parents=True)
        state = {**make(("text",)).state_dict(), "logit_scale": torch.full((1,), float(len(project)))}
        save_file(state, tmp_path / project / "base/model.safetensors")
    monkeypatch.chdir(tmp_path / "there")
    _rest(Path("tuned"), "base", {})
    monkeypatch.chdir(tmp_path / "here")
    assert read_weights(tmp_path / "there/tuned")["logit_scale"].item() == 5


def test_adapters_go_on_at_their_scale(tmp_path: Path) -> None:
    save_folder(tmp_path, make(("text",), stage=LoRAStage(2, alpha=6.0)), {})
    load_weights(make(("text",), stage=LoRAStage(2, alpha=6.0)), tmp_path)
    with pytest.raises(ValueError, match=r"trained with alpha / lora = 3, this stage has 1; set alpha: 6"):
        load_weights(make(("text",), stage=LoRAStage(2)), tmp_path)


def test_a_checkpoint_of_another_base() -> None:
    base = BaseWeights("models/first", "abc")
    check_base(base, None)
    check_base(None, None)
    check_base(base, {"path": "elsewhere", "fingerprint": "abc"})
    with pytest.raises(
        ValueError, match=r"other weights than those of models/first; give the model\.init_from"
    ):
        check_base(base, {"path": "models/first", "fingerprint": "def"})
    with pytest.raises(
        ValueError, match=r"trained on models/first; give model\.init_from models/first and the stage"
    ):
        check_base(None, {"path": "models/first", "fingerprint": "def"})
