"""Rows of tar shards: fields, labels, broken tars, remote ones."""

import json
import pickle
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from onepeace_pl.data.shards.byte_ranges import ByteRanges
from onepeace_pl.data.shards.index import index_shards
from onepeace_pl.data.sources import TarSource
from onepeace_pl.errors import UserError
from onepeace_pl.utils.libraries import LibraryError
from tests.unit.data.shards.making import png, samples, tar


def shards(folder: Path, *contents: dict[str, bytes]) -> str:
    paths = [tar(folder / f"{number}.tar", content) for number, content in enumerate(contents)]
    index_shards(list(map(str, paths)), folder / "index", [path.name for path in paths])
    return str(folder)


def test_shards_from_elsewhere(tmp_path: Path) -> None:
    source = TarSource(shards(tmp_path, samples(0, 3), samples(3, 2)))
    assert source.modalities == ("image", "text")
    assert len(source) == 5
    row = pickle.loads(pickle.dumps(source))[4]
    assert (row.id, row.fields, row.labels) == ("000004", {"image": png(4), "text": "picture 4"}, {})
    assert list(source.ids() or ()) == [f"{n:06}" for n in range(5)]
    assert list(source.texts()) == [f"picture {n}" for n in range(5)]
    assert source.files(3) == [str(tmp_path / "1.tar")]
    assert source.labels() is not None
    with pytest.raises(IndexError):
        source[5]


def test_members_of_any_name_and_keys_of_json(tmp_path: Path) -> None:
    said = json.dumps({"id": "x", "caption": "a dog", "score": 0.5}).encode()
    members = {"1.JPG": png(0), "1.depth.npy": _npy(np.eye(2)), "1.json": said, "1.cls": b"3"}
    fields = {"image": "png;jpg", "depth": "depth.npy", "text": "json:caption"}
    row = TarSource(shards(tmp_path, members), fields)[0]
    assert row.id == "x"
    assert row.fields["text"] == "a dog"
    assert np.array_equal(row.fields["depth"], np.eye(2))
    assert row.labels == {"score": 0.5, "class": 3}
    named = TarSource(str(tmp_path), {"image": "jpg"}, labels={"class": "cls"}, classes=["a", "b", "c", "d"])
    assert named[0].labels == {"class": 3}
    assert named.classes == ("a", "b", "c", "d")
    with pytest.raises(UserError, match=r"1\.json: no key 'title'; it has id, caption, score"):
        TarSource(str(tmp_path), {"text": "json:title"})[0]
    with pytest.raises(UserError, match=r"no member ends in \.tif \(image\); there are cls, depth.npy, jpg"):
        TarSource(str(tmp_path), {"image": "tif"})


def test_incomplete_samples_are_refused_or_counted(tmp_path: Path) -> None:
    content = samples(0, 4)
    del content["000002.txt"]
    path = shards(tmp_path, content)
    with pytest.raises(
        UserError, match=r"1 of 4 samples lack a field: .*0\.tar: 000002 has no text \(\.txt\)"
    ):
        TarSource(path)
    with pytest.warns(UserWarning, match="they are left out"):
        source = TarSource(path, incomplete="skip")
    assert list(source.ids() or ()) == ["000000", "000001", "000003"]
    assert source[2].id == "000003"
    assert len(TarSource(path, {"image": "png"})) == 4


def test_another_tar_and_broken_members_are_named(tmp_path: Path) -> None:
    path = shards(tmp_path, samples(0, 4), {"9.json": b"[1]", "9.txt": b"\xff\xfe", "9.x.npy": b"none"})
    whole = (tmp_path / "0.tar").read_bytes()
    (tmp_path / "0.tar").write_bytes(whole[:-1024])
    with pytest.raises(
        UserError, match=r"0\.tar: .* bytes, and the index says .*: truncated, or another tar"
    ):
        TarSource(path, {"text": "txt"})[0]
    tar(tmp_path / "0.tar", samples(4, 4))  # as long
    with pytest.raises(UserError, match=r"0\.tar: 000000\.png is not at byte 512"):
        TarSource(path, {"text": "txt"})[0]
    source = TarSource(path, {"text": "txt"})
    with pytest.raises(UserError, match=r"1\.tar: 9\.json: \[1\] is no JSON object"):
        source[4]
    del source
    (tmp_path / "0.tar").unlink()
    with pytest.raises(UserError, match=r"0\.tar: No such file"):
        TarSource(path, {"text": "txt"})[0]


def test_damaged_content_is_named(tmp_path: Path) -> None:
    path = shards(tmp_path, {"9.txt": b"\xff\xfe", "9.x.npy": b"none"})
    with pytest.raises(UserError, match=r"9\.txt: damaged"):
        TarSource(path)[0]
    with pytest.raises(UserError, match=r"9\.x\.npy: damaged"):
        TarSource(path, {"motion": "x.npy"})[0]


def test_remote_shards_take_a_range_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shards(tmp_path / "local", samples(0, 3), samples(3, 2))
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path / "local"), "/bucket/train", recursive=True)
    source = TarSource("memory://bucket/train")
    asked: list[tuple[int, int]] = []
    whole = type(memory).cat_file

    def counted(self: Any, path: str, start: int = 0, end: int = 0, **more: Any) -> bytes:
        asked.append((start, end))
        return bytes(whole(self, path, start, end, **more))

    monkeypatch.setattr(type(memory), "cat_file", counted)
    assert source[4].fields == {"image": png(4), "text": "picture 4"}
    assert len(asked) == 1
    assert asked[0][1] - asked[0][0] < 3000
    assert len(TarSource("memory://bucket/train", index=str(tmp_path / "local/index"))) == 5
    assert TarSource(f"file://{tmp_path}/local")[1].id == "000001"
    assert len(list((tmp_path / "cache/onepeace_pl/shards").iterdir())) == 1  # the same index
    with pytest.raises(UserError, match="no index of tar shards"):
        TarSource("memory://bucket/none")


def test_protocols_that_are_not_there() -> None:
    with pytest.raises(LibraryError, match=r"s3://bucket/train.*s3fs"):
        TarSource("s3://bucket/train")
    with pytest.raises(UserError, match=r"nonsense://.*[Pp]rotocol"):
        ByteRanges().size("nonsense://bucket")


def _npy(array: np.ndarray[Any, Any]) -> bytes:
    import io

    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()
