"""``data``: checks of the sources of a config, and the reported problems."""

from pathlib import Path

import pytest
import yaml

from onepeace_pl.cli import main
from tests.unit.data.datasets.making import pictures, text_file


def config(path: Path, **options: object) -> str:
    """Write a data config of two folders of classes."""
    reader = {"class_path": "onepeace_pl.data.datasets.ClassFolder"}
    sources = {name: {**reader, "init_args": {"path": f"pets/{name}"}} for name in ("train", "val", "test")}
    content = {
        "class_path": "onepeace_pl.data.datamodule.SourceDataModule",
        "init_args": {
            "processors": {
                "text": {
                    "class_path": "onepeace_pl.modalities.TextProcessor",
                    "init_args": {"tokenizer": "no/such/tokenizer"},  # is not needed here
                },
                "image": {
                    "class_path": "onepeace_pl.modalities.ImageProcessor",
                    "init_args": {"size": 32},
                },
            },
            "train": sources["train"],
            "validation": {"val": sources["val"]},
            "test": {"test": sources["test"]},
            **options,
        },
    }
    return text_file(path, "# Pets.", yaml.safe_dump(content))


@pytest.fixture
def pets() -> str:
    for split in ("train", "val", "test"):
        pictures(Path("pets") / split, ["cat/1.png", "cat/2.png", "dog/1.png"])
    return config(Path("pets.yaml"))


def test_all_is_right(pets: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", pets]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "pets.yaml: Pets."
    assert "validation/val: ClassFolder\n  rows      3, 3 ids\n" in out
    assert "  classes   2; fewest rows 1 (dog), most 2 (cat)" in out
    assert "  files     3, all there" in out
    assert out.rstrip().endswith("3 of 3 splits are right")
    assert "where files go" not in out


def test_what_is_missing_and_unreadable(pets: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("pets/train/dog/1.png").write_bytes(b"no picture")
    Path("pets/test").rename("pets/elsewhere")
    assert main(["data", "check", pets, "--media", "all"]) == 1
    out = capsys.readouterr().out
    assert "  wrong     row 2 (id dog/1): pets/train/dog/1.png: unreadable image" in out
    assert "  wrong     pets/test: no such folder; check the path" in out
    assert out.index("where files go") < out.index("train: ClassFolder")
    assert "imagenet/train/n01440764/*.JPEG" in out
    assert "1 of 3 splits are right" in out
    capsys.readouterr()
    assert main(["data", "check", pets, "--media", "0"]) == 1
    assert "unreadable" not in capsys.readouterr().out


def test_classes_of_the_splits_must_agree(pets: str, capsys: pytest.CaptureFixture[str]) -> None:
    pictures(Path("pets/val"), ["ant/1.png"])
    assert main(["data", "check", pets]) == 1
    assert "classes: its 3 are not the 2 that the model learns" in capsys.readouterr().out


def test_relative_paths_start_from_root(pets: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert main(["data", "check", "../pets.yaml"]) == 1
    assert main(["data", "check", "../pets.yaml", "--root", ".."]) == 0
    assert Path.cwd() == tmp_path / "below"


def test_an_experiment_and_its_data(pets: str, configs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.yaml").write_text(f"config: {configs}/experiment/classify.yaml\ndata: pets.yaml\n")
    config(Path("pets.yaml"), classes=["cat", "dog"])  # in place of the toy's
    assert main(["data", "check", "run.yaml"]) == 0
    assert "3 of 3" in capsys.readouterr().out


def test_the_data_of_several_tasks(pets: str, capsys: pytest.CaptureFixture[str]) -> None:
    kind = "onepeace_pl.data.multitask_datamodule.MultiTaskDataModule"
    pictures(Path("birds"), ["owl/1.png"])
    reader = {"class_path": "onepeace_pl.data.datasets.ClassFolder", "init_args": {"path": "birds"}}
    config(Path("birds.yaml"), train=reader, validation={}, test={})
    text_file(
        Path("both.yaml"), f"{{class_path: {kind}, init_args: {{tasks: {{a: {pets}, b: birds.yaml}}}}}}"
    )
    assert main(["data", "check", "both.yaml"]) == 0
    out = capsys.readouterr().out
    assert "a/validation/val: ClassFolder\n  rows      3, 3 ids\n" in out
    assert "b/train: ClassFolder\n  rows      1, 1 ids\n" in out
    assert "4 of 4 splits are right" in out
    assert main(["data", "layout", "both.yaml"]) == 0


def test_rows_that_were_skipped_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    source = {
        "class_path": "onepeace_pl.data.datasets.Flickr30kTokens",
        "init_args": {"path": "f.token", "images": "images", "missing": "skip"},
    }
    text_file(Path("f.token"), "1.jpg#0\tone", "2.jpg#0\ttwo")
    pictures(Path("images"), ["2.jpg"])
    assert main(["data", "check", config(Path("f.yaml"), train=source, validation={}, test={})]) == 0
    out = capsys.readouterr().out
    assert "  note      f.token: 1 of 2 rows lack a file and are left out" in out


def test_ls_and_layout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "ls"]) == 0
    assert "refcoco_plus" in capsys.readouterr().out
    assert main(["data", "layout", "audio_retrieval"]) == 0
    out = capsys.readouterr().out
    assert "audiocaps/train.csv" in out
    assert "clotho/evaluation/*.wav" in out
    assert main(["data"]) == main(["data", "--help"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["chek"], "data has no 'chek'; did you mean 'check'?"),
        (["check", "esc5"], "no config 'esc5'; did you mean 'esc50'?"),
        (["check", "esc50", "--media", "some"], "--media some is neither a number nor 'all'"),
        (["check", "esc50", "--root", "gone"], "--root gone: no such folder"),
        (["layout", "triworld_vision"], "its sources have no layout"),
    ],
)
def test_mistakes_take_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", *words]) == 2
    assert message in capsys.readouterr().err


def test_shards_of_a_config(pets: str, capsys: pytest.CaptureFixture[str]) -> None:
    from onepeace_pl.data.sources import TarSource

    words = ["data", "shard", pets, "--split", "validation", "--to", "shards", "--max-count", "2"]
    assert main(words) == 0
    assert main(words) == 0  # nothing is left to do
    assert capsys.readouterr().out.count("shards: 3 rows in 2 shards\n") == 2
    source = TarSource("shards")
    assert source.classes == ("cat", "dog")
    assert [source[index].labels["class"] for index in range(3)] == ["cat", "cat", "dog"]
    assert main([*words, "--set", "other"]) == 2
    assert "--set other: no such set; there are val" in capsys.readouterr().err
    assert main([*words[:-1], "3"]) == 2
    assert "was begun with max_count=2, not 3" in capsys.readouterr().err
    assert main([*words, "--max-size", "much"]) == 2
    assert main([*words, "--root", "pets"]) == 2
    assert "--root is for tables" in capsys.readouterr().err


def test_an_index_of_shards_that_are_broken(pets: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "shard", pets, "--to", "shards", "--max-count", "2"]) == 0
    tar = Path("shards/shard-000001.tar")
    tar.write_bytes(tar.read_bytes()[:600])
    assert main(["data", "index", "shards"]) == 2
    assert "shards/shard-000001.tar: " in capsys.readouterr().err
    assert main(["data", "index", "shards", "--to", "indices/some", "--on-error", "skip"]) == 1
    assert "indices/some: 2 rows in 1 shards\nleft out shards/shard-000001.tar" in capsys.readouterr().out
    assert main(["data", "index", "memory://bucket/train"]) == 2
    assert "name one with --to" in capsys.readouterr().err


def test_an_index_of_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "some.tsv").write_text("id\ttext\na\tone\nb\ttwo\n")
    assert main(["data", "index", str(tmp_path / "some.tsv")]) == 0
    assert "some.tsv.index.npy: 2 rows" in capsys.readouterr().out
