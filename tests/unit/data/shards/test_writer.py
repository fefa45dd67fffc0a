"""Shards that are written: the rows that went in, the same bytes after a kill, what is left out."""

import multiprocessing
import os
import signal
import tarfile
from pathlib import Path

import numpy as np
import pytest

from onepeace_pl.data.shards.writer import write_shards
from onepeace_pl.data.source import Frames, Row, RowList
from onepeace_pl.data.sources import TarSource
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import AudioProcessor

from .making import png, rows


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    source = rows(10)
    report = write_shards(source, tmp_path / "out", max_count=4)
    assert (report.rows, report.shards, report.left_out) == (10, 3, [])
    found = TarSource(str(tmp_path / "out"))
    assert found.classes == ("a", "b", "c")
    assert [found[index] for index in range(10)] == source.rows
    with tarfile.open(tmp_path / "out/shard-000000.tar") as file:
        assert file.getnames()[:3] == ["0000000000.png", "0000000000.txt", "0000000000.json"]


def test_values_of_every_kind(tmp_path: Path) -> None:
    wave = np.random.default_rng(0).normal(0, 0.1, 1600).astype(np.float32)
    pixels = np.random.default_rng(0).integers(0, 255, (5, 6, 3), np.uint8)
    (tmp_path / "mask.png").write_bytes(png(5))
    row = Row(
        "one",
        {
            "image": (png(0), png(1)),
            "image:reference": pixels,
            "audio": (wave, 16_000),
            "motion": np.arange(6.0).reshape(2, 3),
            "text": ("left\n", "r\u00e9ght"),
        },
        {"mask": str(tmp_path / "mask.png"), "answer": np.int64(1)},
    )
    write_shards(RowList([row]), tmp_path / "out")
    found = TarSource(str(tmp_path / "out"))
    assert found.modalities == ("image", "image:reference", "audio", "motion", "text")
    back = found[0]
    assert back.fields["image"] == row.fields["image"]
    assert back.fields["text"] == row.fields["text"]
    assert np.array_equal(back.fields["motion"], row.fields["motion"])
    assert back.labels == {"mask": png(5), "answer": 1}
    processor = AudioProcessor(min_seconds=0.1)
    assert np.array_equal(processor(back.fields["audio"]).values, processor((wave, 16_000)).values)


def test_shards_are_cut_by_size(tmp_path: Path) -> None:
    report = write_shards(rows(10), tmp_path / "out", max_size=8_000)
    sizes = [path.stat().st_size for path in (tmp_path / "out").glob("*.tar")]
    assert report.shards == len(sizes) > 3
    assert len(TarSource(str(tmp_path / "out"))) == 10


def test_rows_that_cannot_be_stored_are_counted(tmp_path: Path) -> None:
    some = [Row(f"n{n}", {"image": png(n) if n % 3 else str(tmp_path / "gone.png")}) for n in range(7)]
    with pytest.raises(UserError, match=r"row 0: image: No such file or directory: .*--on-error skip"):
        write_shards(RowList(some), tmp_path / "strict")
    report = write_shards(RowList(some), tmp_path / "out", on_error="skip", max_count=2)
    assert [index for index, _, _ in report.left_out] == [0, 3, 6]
    assert (
        (tmp_path / "out/left_out.tsv").read_text().splitlines()[2].startswith("3\tn3\timage: No such file")
    )
    assert [row.id for row in map(TarSource(str(tmp_path / "out")).__getitem__, range(4))] == [
        "n1", "n2", "n4", "n5",
    ]  # fmt: skip
    assert write_shards(RowList(some), tmp_path / "out", on_error="skip", max_count=2) == report
    with pytest.raises(UserError, match="drawn anew in each epoch"):
        write_shards(RowList([Row("v", {"image": Frames((png(0),))})]), tmp_path / "clips")
    with pytest.raises(UserError, match="labels cannot be stored"):
        write_shards(RowList([Row("v", {"image": png(0)}, {"box": {1, 2}})]), tmp_path / "labels")


class Dying(RowList):
    """Kills its process at a row."""

    at = 0

    def __getitem__(self, index: int, /) -> Row:
        if index == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


def _write(folder: Path, at: int) -> None:
    source = Dying(rows(23).rows, classes=("a", "b", "c"))
    source.at = at
    write_shards(source, folder, max_count=5)


def test_after_kills_it_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    write_shards(rows(23), tmp_path / "whole", max_count=5)
    for at in (3, 11, 14, 22):
        process = multiprocessing.get_context("fork").Process(target=_write, args=(tmp_path / "killed", at))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    assert len(list((tmp_path / "killed").glob("shard-*.tar"))) == 4
    assert write_shards(rows(23), tmp_path / "killed", max_count=5).rows == 23
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


def test_other_options_need_another_folder(tmp_path: Path) -> None:
    write_shards(rows(4), tmp_path / "out", max_count=2)
    with pytest.raises(UserError, match="begun with max_count=2, not 3"):
        write_shards(rows(4), tmp_path / "out", max_count=3)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("")
    with pytest.raises(UserError, match="has other files"):
        write_shards(rows(4), tmp_path / "mine")
    with pytest.raises(UserError, match="max_count=0"):
        write_shards(rows(4), tmp_path / "none", max_count=0)
