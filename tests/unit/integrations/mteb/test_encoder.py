"""The encoder of mteb. Needs ``mteb``."""

import numpy as np
import pytest
import torch

from onepeace_pl.errors import UserError

pytest.importorskip("mteb", reason="needs mteb: pip install 'mteb>=2.26,<3'")

import mteb

from onepeace_pl.integrations.mteb import OnePeaceEncoder, triworld_tasks

pytestmark = pytest.mark.filterwarnings("ignore:.*(were|was) cut")


def test_metadata(model, folder):
    meta = OnePeaceEncoder(folder, device="cpu").mteb_model_meta
    assert meta.name == f"onepeace_pl/{folder.parent.name}"  # RUN/model
    assert meta.modalities == ["audio", "image", "text"]
    assert meta.embed_dim == model.dim
    assert meta.n_parameters == sum(parameter.numel() for parameter in model.backbone.parameters())
    named = OnePeaceEncoder(model, name="mine", fuse="sum", truncate_dim=8).mteb_model_meta
    assert named.name == "onepeace_pl/mine"
    assert named.embed_dim == 8
    assert named.experiment_kwargs == {"fuse": "sum", "truncate_dim": 8}


def test_lengths_of_vectors(model):
    (task,) = triworld_tasks(["t2i"], size=16)
    found = [
        mteb.evaluate(OnePeaceEncoder(model, truncate_dim=dim), task, cache=None, show_progress_bar=False)
        for dim in (None, 2)
    ]
    first, second = (each.task_results[0].scores["val"][0]["ndcg_at_10"] for each in found)
    assert first != second


def test_a_model_without_the_modality_is_refused(model):
    del model.processors["audio"]
    encoder = OnePeaceEncoder(model)
    (task,) = triworld_tasks(["a2i"], size=8)
    with pytest.raises(ValueError, match="none overlap"):
        mteb.evaluate(encoder, task, cache=None)


def test_the_cache_knows_a_changed_model(model, tmp_path):
    """Same name, same task, other weights."""
    cache, run = mteb.ResultCache(tmp_path / "cache"), tmp_path / "run" / "model"
    (task,) = triworld_tasks(["i2t"], size=24)
    found = []
    for _ in range(2):
        model.save_pretrained(run)
        (result,) = mteb.evaluate(
            OnePeaceEncoder(run, device="cpu"), task, cache=cache, show_progress_bar=False
        ).task_results
        found.append(result.scores["val"][0])
        with torch.no_grad():
            for parameter in model.backbone.parameters():
                parameter.add_(torch.randn_like(parameter))
    assert not np.isclose(found[0]["map_at_1000"], found[1]["map_at_1000"])
    names = {OnePeaceEncoder(model).mteb_model_meta.revision for _ in range(2)}
    assert len(names) == 2  # one that is not saved is never the same


def test_mistakes(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        OnePeaceEncoder(tmp_path)
    with pytest.raises(UserError, match="no device 'cuda:9'"):
        OnePeaceEncoder(folder, device="cuda:9")
