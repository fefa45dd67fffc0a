"""Atomic writing: what stands at the target after an error, a kill, or another library's temporary file."""

import errno
import os
import stat
from pathlib import Path

import pytest
from safetensors.torch import save_file
from torch import zeros

from onepeace_pl.utils.files import NEW, OLD, beside, existing, recover, replace, replacing, write_text


def break_off(path: Path, error: Exception) -> None:
    with replacing(path) as new:
        new.write_text("half")
        raise error


def test_an_error_leaves_the_older_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "made" / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError, match="broken"):
        break_off(path, RuntimeError("broken"))
    assert path.read_text() == "old"
    with pytest.raises(OSError, match="No space left on device") as caught:
        break_off(path, OSError(errno.ENOSPC, "full"))
    assert caught.value.filename == str(path)
    assert [each.name for each in path.parent.iterdir()] == ["a.txt"]


def test_suffixes_are_kept(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.npz") as new:
        assert new.suffix == ".npz"
        assert new.parent == tmp_path


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_files_have_the_permissions_of_any_other(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "a.safetensors") as new:
            save_file({"a": zeros(1)}, new)  # goes through a file that only the owner may read
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.safetensors").stat().st_mode) == 0o640


def folder(path: Path, text: str) -> Path:
    path.mkdir(parents=True)
    (path / "part").write_text(text)
    return path


def test_folders_and_files_replace_each_other(tmp_path: Path) -> None:
    path = folder(tmp_path / "last.ckpt", "1")
    replace(folder(beside(path, NEW), "2"), path)
    assert (path / "part").read_text() == "2"
    beside(path, NEW).write_text("3")
    replace(beside(path, NEW), path)
    assert path.read_text() == "3"
    replace(folder(beside(path, NEW), "4"), path)
    assert (path / "part").read_text() == "4"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("killed_at", range(1, 6))
def test_a_kill_at_any_step_leaves_a_whole_folder(
    killed_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps: look for an even older one, two renames, the removal of the older one begun and ended."""
    path = folder(tmp_path / "last.ckpt", "old")
    new, steps = folder(beside(path, NEW), "new"), 0

    class Killed(BaseException):
        pass

    def counted(change):  # type: ignore[no-untyped-def]
        def call(*given, **options):  # type: ignore[no-untyped-def]
            nonlocal steps
            steps += 1
            if steps == killed_at:
                raise Killed
            return change(*given, **options)

        return call

    with monkeypatch.context() as patch:
        for name in ("replace", "rmdir", "unlink"):
            patch.setattr(os, name, counted(getattr(os, name)))
        with pytest.raises(Killed):
            replace(new, path)
    found = (existing(path) / "part").read_text()
    assert found == ("old" if killed_at < 4 else "new")
    recover(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["last.ckpt"]
    assert (path / "part").read_text() == ("old" if killed_at < 3 else "new")


def test_what_was_not_written_whole_is_removed(tmp_path: Path) -> None:
    (tmp_path / f"{NEW}last.ckpt").write_text("half")
    folder(tmp_path / f"{OLD}best.ckpt", "old")
    folder(tmp_path / "best.ckpt", "new")
    recover(tmp_path)
    recover(tmp_path / "nowhere")
    assert [each.name for each in tmp_path.iterdir()] == ["best.ckpt"]
    assert (tmp_path / "best.ckpt/part").read_text() == "new"
