"""``bench``: what it prints and writes, and when it fails."""

import json
from pathlib import Path

import pytest
from PIL import Image

from onepeace_pl.cli import main

from ..hub.conftest import TEXTS, make_model

SMALL = ["--preset", "debug", "--batch", "2", "--rounds", "1"]


def test_attention_names_its_kernels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "numbers.json"
    assert main(["bench", "attention", *SMALL, "--length", "5", "--json", str(target)]) == 0
    numbers = json.loads(target.read_text())
    learnt = numbers["attention 5, forward and backward, learned bias"]
    assert learnt["kernel"] == "shared_bias"
    assert learnt["least"] <= learnt["ratio"] <= learnt["most"]
    assert "shared_bias" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["step", "layer", "bias"])
def test_a_ratio_can_be_asserted(what: str) -> None:
    assert main(["bench", what, *SMALL, "--assert-ratio", "0"]) == 0
    assert main(["bench", what, *SMALL, "--assert-ratio", "1e9"]) == 1


def test_growth_of_the_losses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "loss", "--batches", "16", "32", "--fit-exponent"]) == 0
    assert "denoising, ours" in capsys.readouterr().out
    assert main(["bench", "loss", "--batches", "16"]) == 2


def test_memory_of_a_dense_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = tmp_path / "task.yaml"
    task.write_text(
        "class_path: onepeace_pl.tasks.segmentation.Segmentation\n"
        "init_args:\n"
        "  neck: onepeace_pl.dense.BlockFeaturePyramid\n"
        "  head: {class_path: onepeace_pl.tasks.segmentation.UPerNet, init_args: {width: 16}}\n"
    )
    target = tmp_path / "numbers.json"
    words = ["bench", "dense", "--task", str(task), "--label", "mask", "--preset", "debug", "--size", "64"]
    assert main([*words, "--json", str(target)]) == 0
    numbers = json.loads(target.read_text())
    assert 0 < numbers["inference"]["bytes"] < numbers["training"]["bytes"]
    assert numbers["training, blocks computed again"]["bytes"] < numbers["training"]["bytes"]
    assert "init_weights" not in capsys.readouterr().out
    task.write_text("nothing: here\n")
    assert main(words) == 2
    assert "not the file of a dense task" in capsys.readouterr().err


def test_vectors_of_a_model_on_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_model().save_pretrained(tmp_path / "model")
    for i in range(len(TEXTS)):
        Image.new("RGB", (32, 32), (60 * i, 0, 0)).save(tmp_path / f"{i}.png")
    lines = ["id,image,text", *(f"{i},{i}.png,{text}" for i, text in enumerate(TEXTS))]
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    words = [
        "bench",
        "vectors",
        str(tmp_path / "model"),
        "--data",
        str(tmp_path / "pairs.csv"),
        "--device",
        "cpu",
    ]
    assert main([*words, "--length", "32", "8", "--json", str(tmp_path / "numbers.json")]) == 0
    out = capsys.readouterr().out
    assert "| pooled | 8 | binary | 1 | 1 | " in out
    assert "32 values, trained at 32" in out
    (results,) = (v for k, v in json.loads((tmp_path / "numbers.json").read_text()).items() if "pairs" in k)
    assert len(results) == 14
    assert main([*words, "--length", "64"]) == 2
    assert "length 64: the model's vectors have 32 values" in capsys.readouterr().err


def test_weights_of_a_model_on_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_model().save_pretrained(tmp_path / "model")
    for i in range(len(TEXTS)):
        Image.new("RGB", (32, 32), (60 * i, 0, 0)).save(tmp_path / f"{i}.png")
    lines = ["id,image,text", *(f"{i},{i}.png,{text}" for i, text in enumerate(TEXTS))]
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    words = ["bench", "weights", str(tmp_path / "model"), "--rounds", "2", "--batch", "2"]
    data = ["--data", str(tmp_path / "pairs.csv"), "--json", str(tmp_path / "numbers.json")]
    assert main([*words, *data]) == 0
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    whole, half, small = numbers["costs"]
    assert [each["weights"] for each in (whole, half, small)] == ["float32", "bf16", "int8"]
    assert half["bytes"] * 2 == whole["bytes"]
    assert small["blocks"] < half["blocks"]
    assert whole["speed"]["image"]["ratio"] == 1
    assert set(small["speed"]) == {"text", "image", "audio"}
    (recall,) = (value for key, value in numbers.items() if "pairs" in key)
    assert set(recall["int8"]) == {"image->text", "text->image"}
    assert recall["float32"]["image->text"]["difference"] == {"value": 0, "low": 0, "high": 0}
    for kind in ("bf16", "int8"):
        one, two = (recall[each]["image->text"] for each in (kind, "float32"))
        assert one["difference"]["value"] == pytest.approx(one["value"]["value"] - two["value"]["value"])
    out = capsys.readouterr().out
    assert out.count("| int8 | ") == 1
    assert main(words) == 0
    assert "R@1" not in capsys.readouterr().out


def test_weights_of_a_preset(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "weights", "--rounds", "1", "--batch", "1"]
    assert main([*words, "--preset", "debug"]) == 0
    assert "| bf16 | " in capsys.readouterr().out
    for wrong, says in (
        ([], "weights of what?"),
        (["folder", "--preset", "debug"], "weights of what?"),
        (["--preset", "debug", "--data", "x.csv"], "random weights have no recall"),
        (["--preset", "debug", "--rounds", "0"], "--rounds 0 must be at least 1"),
    ):
        assert main([*words, *wrong]) == 2
        assert says in capsys.readouterr().err


def test_embedding_beside_a_plain_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra `search`")
    monkeypatch.chdir(tmp_path)
    make_model().save_pretrained("m")
    small = ["--pictures", "6", "--sounds", "4", "--batch", "2", "--rounds", "1", "--num-workers", "1"]
    assert main(["bench", "embed", "m", *small, "--json", "numbers.json"]) == 0
    numbers = json.loads(Path("numbers.json").read_text())
    for name in ("image, Pillow", "image, tensors", "audio, soundfile"):
        assert numbers[name]["cosine"] > 0.99  # both embed the same files
    assert numbers["image, Pillow"]["cosine"] > 0.99999
    Path("a.txt").write_text("a dog\n")
    assert main(["bench", "embed", "m", "a.txt", *small]) == 2
    assert "a plain loader is for images and sounds" in capsys.readouterr().err
