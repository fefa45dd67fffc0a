from pathlib import Path

import pytest

from onepeace_pl.data.sources import FolderSource


def fill(folder: Path, *names: str, text: str = "a caption\n") -> str:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder)


def test_names_pair_files(tmp_path: Path) -> None:
    source = FolderSource(fill(tmp_path, "b.jpg", "b.txt", "sub/a.PNG", "sub/a.txt", "notes.md"))
    assert source.modalities == ("image", "text")
    assert [source[i].id for i in range(len(source))] == ["b", "sub/a"]
    assert source[1].fields == {"image": str(tmp_path / "sub/a.PNG"), "text": "a caption"}


def test_every_line_is_a_caption(tmp_path: Path) -> None:
    fill(tmp_path, "a.wav")
    source = FolderSource(fill(tmp_path, "a.txt", text="one\n\ntwo\n"))
    assert [(source[i].id, source[i].fields["text"]) for i in range(2)] == [("a", "one"), ("a", "two")]
    assert list(source.texts()) == ["one", "two"]


def test_incomplete_names(tmp_path: Path) -> None:
    path = fill(tmp_path, "a.jpg", "a.txt", "b.jpg")
    with pytest.raises(
        ValueError, match="1 of 2 names lack a file: 'b' no text; add it, or set incomplete: skip"
    ):
        FolderSource(path)
    with pytest.warns(UserWarning, match="they are left out"):
        assert len(FolderSource(path, incomplete="skip")) == 1


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder"):
        FolderSource(str(tmp_path / "gone"))
    with pytest.raises(ValueError, match="no complete rows"):
        FolderSource(str(tmp_path))
    with pytest.raises(ValueError, match=r"a\.png: a\.jpg is the image of that name already"):
        FolderSource(fill(tmp_path, "a.jpg", "a.png"))
