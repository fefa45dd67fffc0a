"""The index of tars: what is in it, and tars that are broken."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from onepeace_pl.data.shards.index import TarIndex, find_tars, index_shards
from onepeace_pl.errors import UserError

from .making import samples, tar


def test_members_are_where_it_says_in_arrays_that_are_mapped(tmp_path: Path) -> None:
    paths = [tar(tmp_path / f"{n}.tar", samples(3 * n, 3)) for n in range(2)]
    assert index_shards(list(map(str, paths)), tmp_path / "index", ["0.tar", "1.tar"]) == (6, [])
    index = pickle.loads(pickle.dumps(TarIndex(tmp_path / "index")))
    assert len(index) == 6
    assert index.endings == {"png": 6, "txt": 6}
    assert [index.shard(row)["url"] for row in range(6)] == ["0.tar"] * 3 + ["1.tar"] * 3
    assert index.key(4) == "000004"
    text = next(member for member in index.members(4) if member.ending == "txt")
    assert paths[1].read_bytes()[text.offset : text.offset + text.size] == b"picture 4"
    for name in ("rows", "members", "keys"):
        assert isinstance(np.load(tmp_path / f"index/{name}.npy", mmap_mode="r"), np.memmap)
    assert len(pickle.dumps(index)) < 2000  # no array travels to a worker


def test_samples_are_those_of_webdataset(tmp_path: Path) -> None:
    """Keys end at the first dot of the name; consecutive members of one key are a sample."""
    names = ["./a/b.c/one.jpg", "./a/b.c/one.seg.PNG", "two.jpg", ".hidden", "no_ending", "one.txt"]
    path = tar(tmp_path / "some.tar", dict.fromkeys(names, b"x"))
    index_shards([str(path)], tmp_path / "index")
    index = TarIndex(tmp_path / "index")
    found = {index.key(row): [m.ending for m in index.members(row)] for row in range(len(index))}
    assert found == {"./a/b.c/one": ["jpg", "seg.png"], "two": ["jpg"], "one": ["txt"]}


def test_long_names_and_names_of_other_scripts(tmp_path: Path) -> None:
    names = ["x" * 150, "d" * 90 + "/" + "y" * 90, "täg"]
    path = tar(tmp_path / "some.tar", {f"{name}.txt": name.encode() for name in names})
    index_shards([str(path)], tmp_path / "index")
    index = TarIndex(tmp_path / "index")
    assert [index.key(row) for row in range(3)] == names


@pytest.mark.parametrize("cut", [1, 700, 1600, 10_240 - 2_000])
def test_a_truncated_tar_is_named(cut: int, tmp_path: Path) -> None:
    path = tar(tmp_path / "some.tar", samples(0, 4))
    content = path.read_bytes().rstrip(b"\0")
    path.write_bytes(content[:-cut])
    with pytest.raises(UserError, match=r"some\.tar: .*truncated"):
        index_shards([str(path)], tmp_path / "index")
    other = tar(tmp_path / "other.tar", samples(0, 4))
    count, broken = index_shards([str(path), str(other)], tmp_path / "index", on_error="skip")
    assert count == 4
    assert "some.tar" in broken[0]


def test_what_is_no_shard(tmp_path: Path) -> None:
    (tmp_path / "text.tar").write_text("no tar" * 200)
    with pytest.raises(UserError, match=r"text\.tar: no tar"):
        index_shards([str(tmp_path / "text.tar")], tmp_path / "index")
    path = tar(tmp_path / "bare.tar", {"README": b"x"})
    with pytest.raises(UserError, match="no samples; members are named"):
        index_shards([str(path)], tmp_path / "index")
    with pytest.raises(UserError, match=r"gone\.tar: No such file"):
        index_shards([str(tmp_path / "gone.tar")], tmp_path / "index")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no \.tar files"):
        find_tars(str(tmp_path / "empty"))


def test_an_index_that_is_missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make one: python -m onepeace_pl data index"):
        TarIndex(tmp_path)
    index_shards([str(tar(tmp_path / "0.tar", samples(0, 3)))], tmp_path / "index")
    file = tmp_path / "index/members.npy"
    np.save(file, np.load(file)[:-1])
    with pytest.raises(UserError, match="damaged"):
        TarIndex(tmp_path / "index")
    file.write_bytes(b"")
    with pytest.raises(UserError, match="damaged"):
        TarIndex(tmp_path / "index")
