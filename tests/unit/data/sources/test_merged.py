from pathlib import Path

import pytest

from onepeace_pl.data.evaluation.gallery import pair_galleries
from onepeace_pl.data.source import Row, RowList, Source
from onepeace_pl.data.sources import ManifestSource, MergedSource, TsvSource


def table(path: str, *lines: str) -> str:
    Path(path).write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def sources(pictures: list[str], sounds: list[str]) -> dict[str, Source]:
    table("pictures.tsv", "id\timage", *(f"{each[0]}\t{each}.png" for each in pictures))
    table("sounds.csv", "id,audio,place", *(f"{each[0]},{each}.wav,street" for each in sounds))
    return {
        "pictures.tsv": TsvSource("pictures.tsv", {"image": "image"}, "id"),
        "sounds.csv": ManifestSource("sounds.csv", id_column="id"),
    }


def test_rows_have_the_modalities_of_all_sources() -> None:
    merged = MergedSource(sources(["a", "b", "c"], ["c", "a", "b"]))
    assert merged.modalities == ("image", "audio")
    assert list(merged.ids()) == ["a", "b", "c"]
    assert merged[1] == Row("b", {"image": "b.png", "audio": "b.wav"}, {"place": "street"})
    assert merged.training_row(2, 5) == merged[2]
    assert merged.files(2) == ["c.png", "c.wav"]
    assert merged.one_per_id() == ()
    with pytest.raises(IndexError):
        merged[3]


def test_an_id_has_as_many_rows_as_in_the_source_where_it_has_most() -> None:
    merged = MergedSource(sources(["a", "b1", "b2"], ["a1", "a2", "b1", "b2", "b3"]))
    assert [(row.id, *row.fields.values()) for row in (merged[i] for i in range(len(merged)))] == [
        ("a", "a.png", "a1.wav"),
        ("a", "a.png", "a2.wav"),
        ("b", "b1.png", "b1.wav"),
        ("b", "b2.png", "b2.wav"),
        ("b", "b1.png", "b3.wav"),
    ]
    assert merged.one_per_id() == ()


def test_several_sounds_of_one_picture() -> None:
    merged = MergedSource(sources(["a", "b"], ["a1", "a2", "b1", "b2"]))
    (gallery,) = pair_galleries("mine", merged)
    assert gallery.one_per_id == merged.one_per_id() == ("image",)


def test_a_source_that_knows_what_its_ids_share() -> None:
    table("captions.csv", "id,image,text", "a,a.png,one", "a,a.png,two", "b,b.png,three")
    captions = ManifestSource("captions.csv", id_column="id")
    merged = MergedSource(
        {"captions": captions, "sounds": RowList([Row(i, {"audio": f"{i}.wav"}) for i in "ab"])}
    )
    assert merged.one_per_id() == ("image", "audio")
    assert merged.files(0) is None  # rows in memory know no files
    assert [row.fields["text"] for row in (merged[i] for i in range(3))] == ["one", "two", "three"]


def test_of_a_label_of_several_sources_the_first_counts() -> None:
    left = RowList([Row("a", {"image": 1}, {"place": "left", "own": 1})], classes=["x"])
    right = RowList([Row("a", {"audio": 2}, {"place": "right", "other": 2})])
    merged = MergedSource({"left": left, "right": right})
    assert merged[0].labels == {"place": "left", "own": 1, "other": 2}
    assert merged.classes == ("x",)


def test_ids_that_a_source_lacks() -> None:
    both = sources(["a", "b", "c", "d"], ["e", "b", "a"])
    message = r"3 of 5 ids are not in all of pictures.tsv, sounds.csv; the first: 'c' is not in sounds.csv"
    with pytest.raises(ValueError, match=f"{message}; add it, or set incomplete: skip"):
        MergedSource(both)
    with pytest.warns(UserWarning, match=f"{message}; they are left out"):
        merged = MergedSource(both, incomplete="skip")
    assert list(merged.ids()) == ["a", "b"]


def test_mistakes_are_named() -> None:
    both = sources(["a"], ["b"])
    with pytest.raises(
        ValueError, match=r"no id is in all of .* \(the first: 'a' in pictures.tsv, 'b' in sounds"
    ):
        MergedSource(both, incomplete="skip")
    with pytest.raises(ValueError, match="one and other both have image; leave it out of one"):
        MergedSource({"one": both["pictures.tsv"], "other": both["pictures.tsv"]})
    with pytest.raises(ValueError, match="1 sources; name two or more"):
        MergedSource({"one": both["pictures.tsv"]})
