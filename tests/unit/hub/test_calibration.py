"""Calibration: one scale for vectors and scores of all modalities."""

import json

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from onepeace_pl import OnePeace
from onepeace_pl.errors import UserError
from onepeace_pl.hub import Calibration
from onepeace_pl.hub.calibration import inverse_root

from .conftest import TEXTS

rng = np.random.default_rng(0)
PICTURES = [rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(12)]
SENTENCES = [f"{text} {i}" for i in range(3) for text in TEXTS]


def cones(rows: int = 200, width: int = 16, noise: float = 0.3) -> dict[str, Tensor]:
    """Images and texts of the same content in two cones; texts are spread less."""
    generator = torch.Generator().manual_seed(0)
    content = torch.randn(rows, width, generator=generator)
    away = torch.eye(width)[0] * 4
    image = content + noise * torch.randn(rows, width, generator=generator) + away
    text = content * 0.5 + noise * torch.randn(rows, width, generator=generator) - away
    return {"image": normalize(image, dim=1), "text": normalize(text, dim=1)}


def gap(vectors: dict[str, Tensor]) -> float:
    return float((vectors["image"].mean(0) - vectors["text"].mean(0)).norm())


@pytest.mark.parametrize("kind", ["centring", "whitening"])
def test_the_cones_coincide(kind) -> None:
    vectors = cones()
    assert gap(vectors) > 1
    calibration = Calibration.fit(vectors, kind)
    after = {name: calibration.transform(name, rows) for name, rows in vectors.items()}
    assert gap(after) < 0.1
    for rows in after.values():
        torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(rows)))


def test_centring_subtracts_the_mean_and_normalises() -> None:
    vectors = cones()
    found = Calibration.fit(vectors).transform("text", vectors["text"])
    torch.testing.assert_close(found, normalize(vectors["text"] - vectors["text"].mean(0), dim=1))


def test_rows_that_it_was_not_fitted_on_coincide_too() -> None:
    vectors = cones(400)
    calibration = Calibration.fit({name: rows[:200] for name, rows in vectors.items()})
    assert gap({name: calibration.transform(name, rows[200:]) for name, rows in vectors.items()}) < 0.2


def test_none_leaves_the_vectors() -> None:
    vectors = cones()
    calibration = Calibration.fit(vectors, "none")
    assert torch.equal(calibration.transform("image", vectors["image"]), vectors["image"])


@pytest.mark.parametrize("kind", ["none", "centring"])
def test_scores_of_unrelated_items_are_on_one_scale(kind) -> None:
    vectors = cones()
    calibration = Calibration.fit(vectors, kind)
    after = {name: calibration.transform(name, rows) for name, rows in vectors.items()}
    unrelated = ~torch.eye(200, dtype=torch.bool)
    for query in after:
        for target in after:
            scores = calibration.scores(query, after[query], target, after[target])[unrelated]
            assert scores.median() == pytest.approx(0, abs=1e-3)
            assert np.quantile(scores.numpy(), 0.99) == pytest.approx(1, abs=1e-3)
            order = (after[query] @ after[target].T)[0].argsort()
            assert torch.equal(
                calibration.scores(query, after[query], target, after[target])[0].argsort(), order
            )


def test_one_vector_alone() -> None:
    vectors = cones()
    calibration = Calibration.fit(vectors)
    torch.testing.assert_close(
        calibration.transform("image", vectors["image"][3]),
        calibration.transform("image", vectors["image"])[3],
    )


def test_related_rows_do_not_count_as_unrelated() -> None:
    vectors = cones(noise=0.0)
    twice = {name: torch.cat([rows, rows]) for name, rows in vectors.items()}
    ids = {name: [str(i) for i in [*range(200), *range(200)]] for name in vectors}
    once, both = Calibration.fit(vectors), Calibration.fit(twice, ids=ids)
    torch.testing.assert_close(once.score_medians, both.score_medians, atol=1e-4, rtol=0)
    torch.testing.assert_close(once.score_scales, both.score_scales, atol=1e-3, rtol=0)
    with pytest.raises(UserError, match="image and image: all rows are related or alike"):
        Calibration.fit(vectors, ids={name: ["one"] * 200 for name in vectors})


def test_modalities_of_different_numbers() -> None:
    vectors = cones()
    calibration = Calibration.fit(
        {"image": vectors["image"], "text": vectors["text"][:50]},
        ids={"image": [str(i) for i in range(200)], "text": [str(i) for i in range(50)]},
    )
    assert calibration.rows == {"image": 200, "text": 50}


def test_whitening_of_few_rows_is_finite() -> None:
    vectors = {name: rows[:8] for name, rows in cones(width=64).items()}
    calibration = Calibration.fit(vectors, "whitening")
    found = calibration.transform("image", cones(width=64)["image"])
    assert found.isfinite().all()
    torch.testing.assert_close(found.norm(dim=1), torch.ones(200))


def test_whitening_without_shrinkage_gives_the_identity() -> None:
    points = torch.randn(500, 6, generator=torch.Generator().manual_seed(0)).double()
    points = points @ (torch.eye(6) + torch.ones(6, 6).tril() / 3).double()
    points -= points.mean(0)
    white = points @ inverse_root(points, 0.0)
    torch.testing.assert_close(white.T @ white / 500, torch.eye(6).double(), atol=1e-3, rtol=0)
    shrunk = points @ inverse_root(points, 1.0)
    torch.testing.assert_close(shrunk, points * (shrunk[0, 0] / points[0, 0]))


def test_mistakes() -> None:
    vectors = cones()
    calibration = Calibration.fit(vectors)
    for call, message in (
        (lambda: calibration.transform("audio", vectors["image"]), "knows image, text, not audio"),
        (
            lambda: calibration.transform("image", torch.ones(2, 8)),
            "8 dimensions in float32, and a calibration for 16",
        ),
        (lambda: calibration.transform("image", torch.ones(2, 16, dtype=torch.int8)), "in int8.*quantised"),
        (lambda: calibration.scores("image", vectors["image"], "text", torch.ones(2, 8)), "8 dimensions"),
        (lambda: Calibration.fit(vectors, "centered"), "kind='centered': choose one of none, centring, wh"),
        (lambda: Calibration.fit(vectors, "whitening", shrinkage=2.0), "shrinkage=2.0 must be between"),
        (lambda: Calibration.fit({}), "nothing to fit"),
        (lambda: Calibration.fit({"image": vectors["image"][:7]}), "image: 7 vectors are too few"),
        (
            lambda: Calibration.fit({**vectors, "audio": torch.ones(9, 8)}),
            r"audio: vectors of shape \(9, 8\)",
        ),
        (lambda: Calibration.fit(vectors, ids={"image": ["1"], "text": ["1"]}), "image: 1 ids for 200"),
        (lambda: Calibration.fit({"image": vectors["image"][:1].repeat(9, 1)}), "related or alike"),
    ):
        with pytest.raises(UserError, match=message):
            call()


@pytest.mark.parametrize("kind", ["none", "centring", "whitening"])
def test_a_folder_holds_it(tmp_path, kind) -> None:
    vectors = cones()
    calibration = Calibration.fit(vectors, kind)
    calibration.save(tmp_path)
    loaded = Calibration.load(tmp_path)
    assert loaded.equals(calibration)
    assert (loaded.kind, loaded.rows) == (kind, {"image": 200, "text": 200})
    assert torch.equal(
        loaded.transform("text", vectors["text"]), calibration.transform("text", vectors["text"])
    )
    facts = json.loads((tmp_path / "calibration.json").read_text())
    assert facts == {"format": 1, "kind": kind, "rows": {"image": 200, "text": 200}}


def test_a_damaged_folder(tmp_path) -> None:
    with pytest.raises(UserError, match="has no calibration"):
        Calibration.load(tmp_path)
    Calibration.fit(cones()).save(tmp_path)
    (tmp_path / "calibration.json").write_text('{"format": 1, "kind": "whitening", "rows": {}}')
    with pytest.raises(UserError, match="no calibration of format 1; fit it again"):
        Calibration.load(tmp_path)


def calibrated(model: OnePeace) -> OnePeace:
    vectors = {"text": model.encode(text=SENTENCES), "image": model.encode(image=PICTURES)}
    model.calibration = Calibration.fit(vectors)
    return model


def test_encode_applies_it_unless_told_otherwise(model) -> None:
    raw = model.encode(text=TEXTS)
    with pytest.raises(UserError, match="the model has no calibration"):
        model.encode(text=TEXTS, calibrate=True)
    calibrated(model)
    expected = model.calibration.transform("text", raw)
    assert torch.equal(model.encode(text=TEXTS), expected)
    assert torch.equal(model.encode(text=TEXTS, calibrate=True), expected)
    assert torch.equal(model.encode(text=TEXTS, calibrate=False), raw)
    assert (raw - expected).abs().max() > 1e-2
    with pytest.raises(UserError, match="knows text, image, not audio"):
        model.encode(audio=[rng.normal(size=16000).astype(np.float32)])


def test_the_sum_is_that_of_calibrated_vectors(model) -> None:
    calibrated(model)
    both = {"text": SENTENCES, "image": PICTURES}
    parts = model.encode(text=SENTENCES) + model.encode(image=PICTURES)
    torch.testing.assert_close(model.encode(**both), normalize(parts, dim=1))


def test_vectors_are_truncated_after_calibration(model) -> None:
    whole = calibrated(model).encode(text=TEXTS)
    with pytest.warns(UserWarning, match="truncate_dim=16"):
        cut = model.encode(text=TEXTS, truncate_dim=16)
    torch.testing.assert_close(cut, normalize(whole[:, :16], dim=1))


def test_a_joint_pass_has_statistics_of_its_own(model) -> None:
    both = {"text": SENTENCES, "image": PICTURES}
    joint = model.encode(**both, fuse="joint")
    calibrated(model)
    with pytest.raises(UserError, match=r"knows text, image, not image\+text"):
        model.encode(**both, fuse="joint")
    assert torch.equal(model.encode(**both, fuse="joint", calibrate=False), joint)
    model.calibration = Calibration.fit({"image+text": joint})
    found = model.encode(**both, fuse="joint")
    torch.testing.assert_close(found, model.calibration.transform("image+text", joint))


def test_a_model_folder_keeps_it_and_a_new_model_removes_it(model, tmp_path) -> None:
    raw = model.encode(text=TEXTS)
    calibrated(model).save_pretrained(tmp_path)
    loaded = OnePeace.from_pretrained(tmp_path, device="cpu")
    assert torch.equal(loaded.encode(text=TEXTS), model.encode(text=TEXTS))
    assert torch.equal(loaded.encode(text=TEXTS, calibrate=False), raw)
    model.calibration = None
    model.save_pretrained(tmp_path)
    assert OnePeace.from_pretrained(tmp_path, device="cpu").calibration is None
    assert not list(tmp_path.glob("calibration*"))
