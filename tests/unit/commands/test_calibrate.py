"""calibrate: fit on some rows, measure on others, write into the model folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onepeace_pl import OnePeace
from onepeace_pl.cli import main as cli
from onepeace_pl.data.source import Row, as_source
from onepeace_pl.hub import Calibration
from onepeace_pl.hub.items import drawn_rows, embed_items, fit_calibration
from tests.unit.hub.conftest import TEXTS, make_model

ROWS = 24


@pytest.fixture
def raw(tmp_path) -> OnePeace:
    """An untrained model in a folder, and a table of images with captions, two rows an image."""
    made = make_model()
    made.save_pretrained("m")
    rng = np.random.default_rng(0)
    lines = ["id,image,caption"]
    for i in range(ROWS):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(f"{i}.png")
        lines += [f"{i},{i}.png,{text} {i}" for text in TEXTS[:2]]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    return made


WORDS = ["calibrate", "m", "--data", "rows.csv", "--columns", "text=caption", "--device", "cpu"]


def test_a_table_is_halved_and_the_folder_calibrated(raw, capsys) -> None:
    assert cli(WORDS) == 0
    printed = capsys.readouterr().out
    assert "fitted on image 12, text 24; measured on image 12, text 24" in printed
    for row in ("centroid distance image-text", "probe accuracy (chance 0.500)", "text->image R@1, mixed"):
        assert f"| {row} " in printed
    assert json.loads(Path("m/calibration.json").read_text())["kind"] == "centring"
    loaded = OnePeace.from_pretrained("m", device="cpu")
    fitted = loaded.encode(
        text=[f"{text} {i}" for i in range(0, ROWS, 2) for text in TEXTS[:2]], calibrate=False
    )
    assert loaded.calibration is not None
    torch.testing.assert_close(
        loaded.calibration.means[list(loaded.calibration.rows).index("text")], fitted.mean(0)
    )
    assert torch.equal(loaded.encode(text=TEXTS, calibrate=False), raw.encode(text=TEXTS))
    assert torch.equal(
        loaded.encode(text=TEXTS), loaded.calibration.transform("text", raw.encode(text=TEXTS))
    )


@pytest.mark.parametrize("flag", ["--compare", "--dry-run"])
def test_nothing_is_written(raw, capsys, flag) -> None:
    assert cli([*WORDS, flag]) == 0
    assert Calibration.of_folder("m") is None
    assert ("whitening, temperature" in capsys.readouterr().out) == (flag == "--compare")


def test_rows_of_a_config(raw, capsys) -> None:
    options = "{path: rows.csv, id_column: id, columns: {image: image, text: caption}}"
    Path("rows.yaml").write_text(
        f"class_path: onepeace_pl.data.sources.ManifestSource\ninit_args: {options}\n"
    )
    assert cli([*WORDS[:3], "rows.yaml", "--kind", "none", "--report-split", "test", "--device", "cpu"]) == 0
    assert "fitted on image 24, text 48; measured on image 24, text 48" in capsys.readouterr().out
    assert Calibration.load("m").kind == "none"


def test_embed_and_compare_know_the_calibration(raw, capsys) -> None:
    raw.save_pretrained("before")
    assert cli(WORDS) == 0
    assert cli(["compare", "before", "m", "--expect-equal", "text"]) == 1
    assert "calibration only in B" in capsys.readouterr().out
    words = ["embed", "m", "--text", *TEXTS, "--device", "cpu", "--to", "v.npz"]
    assert cli([*words, "--no-calibrate"]) == 0
    assert torch.equal(torch.from_numpy(np.load("v.npz")["text"]), raw.encode(text=TEXTS))
    assert cli(words) == 0
    assert not torch.equal(torch.from_numpy(np.load("v.npz")["text"]), raw.encode(text=TEXTS))
    assert cli(["embed", "before", "--text", "a", "--device", "cpu", "--calibrate"]) == 2
    assert cli(["convert", "m", "--to", "copy"]) == 0
    assert Calibration.load("copy").equals(Calibration.load("m"))


def test_mistakes(raw, capsys) -> None:
    for words, message in (
        (["rows.csv"], "only image to tell apart"),
        (["rows.csv", "--columns", "text=words"], "no column 'words'"),
        (
            ["rows.csv", "--columns", "text=caption", "--report-split", "test"],
            "--report-split is for configs",
        ),
        (["rows.csv", "--columns", "text=caption", "--ids", "0"], "--ids 0 must be at least 1"),
        (["rows.csv", "--columns", "text=caption", "--ids", "3"], "too few to calibrate with"),
    ):
        code = cli(["calibrate", "m", "--device", "cpu", "--data", *words])
        (line,) = capsys.readouterr().err.splitlines()
        if words == ["rows.csv"]:  # images alone: nothing to tell apart
            message = "only image to tell apart"
        assert code == 2, words
        assert message in line


def test_items_of_rows() -> None:
    """Equal content is one item; several values of a field are several."""
    model = make_model()
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    rows = as_source(
        [
            Row("a", {"image": picture, "text": ("rain", "a dog")}),
            Row("b", {"image": picture.copy(), "text": ("rain",)}),
        ]
    )
    items = embed_items(model, {"rows": rows})
    assert items["image"].index.tolist() == [0, 0]
    assert items["image"].ids.tolist() == [0, 1]
    assert items["text"].index.tolist() == [0, 1, 0]
    assert items["text"].ids.tolist() == [0, 0, 1]
    torch.testing.assert_close(items["text"].vectors, model.encode(text=["rain", "a dog"]))


def test_a_model_of_joint_passes_is_calibrated_for_them() -> None:
    model = make_model()
    model.backbone.fuse = "joint"
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(12)]
    rows = [Row(str(i), {"image": each, "text": f"rain {i}"}) for i, each in enumerate(pictures)]
    items = embed_items(model, {"rows": as_source(rows)})
    assert list(items) == ["image", "text", "image+text"]
    both = {"image": pictures, "text": [f"rain {i}" for i in range(12)]}
    torch.testing.assert_close(items["image+text"].vectors, model.encode(**both))
    model.calibration = fit_calibration(items)
    assert model.encode(**both).mean(0).norm() < 0.3


def test_drawn_rows_keep_ids_whole() -> None:
    rows = as_source([Row(str(i // 2), {"text": str(i)}) for i in range(40)])
    drawn = drawn_rows(rows, 5)
    assert len(drawn) == 10
    assert sorted({i // 2 for i in drawn}) == [i // 2 for i in drawn[::2]]
    assert drawn_rows(rows, 5) == drawn
    assert drawn_rows(rows, 100) == list(range(40))
