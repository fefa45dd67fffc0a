from pathlib import Path

import pytest

from onepeace_pl.data.source import Row
from onepeace_pl.data.sources import FolderSource, ManifestSource, MergedSource, TsvSource
from onepeace_pl.data.sources.opening import TableFiles

MODALITIES = ("text", "image", "motion")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pictures.tsv").write_text("id\timage\timage:reference\tcaption\na\ta.png\tb.png\ta dog\n")
    Path("pairs.csv").write_text("image,text\na.png,a dog\nb.png,a cat\n")
    Path("sensor.jsonl").write_text('{"id": "a", "motion": [[1, 2]], "place": "lab"}\n')
    Path("files").mkdir()
    Path("files/a.png").touch()


def test_columns_named_as_modalities_are_fields() -> None:
    files = TableFiles(["pictures.tsv"], MODALITIES, {"text": "caption"})
    assert files.fields == ["image", "image:reference", "text"]
    assert files.name == "pictures"
    rows = files.source(["text", "image:reference"])
    assert isinstance(rows, TsvSource)
    assert rows[0] == Row("a", {"text": "a dog", "image:reference": "b.png"}, {"image": "a.png"})


def test_usual_names_of_columns() -> None:
    Path("metadata.csv").write_text("file_name,Caption,smell\na.PNG,a dog,none\n")
    files = TableFiles(["metadata.csv"], MODALITIES, usual=True)
    assert files.usual_columns == {"image": "file_name", "text": "Caption"}
    assert files.source(["image", "text"])[0].fields == {"image": "a.PNG", "text": "a dog"}
    assert TableFiles(["metadata.csv"], MODALITIES).fields == []
    assert TableFiles(["pictures.tsv"], MODALITIES, {"text": "id"}, usual=True).fields == [
        "image",
        "image:reference",
        "text",
    ]
    assert TableFiles(["pairs.csv"], MODALITIES, usual=True).usual_columns == {}


def test_a_single_table_needs_no_ids() -> None:
    rows = TableFiles(["pairs.csv"], MODALITIES).source(["image", "text"])
    assert isinstance(rows, ManifestSource)
    assert list(rows.ids()) == ["0", "1"]


def test_several_are_merged_by_id_without_those_that_are_not_needed() -> None:
    files = TableFiles(["pictures.tsv", "sensor.jsonl", "files"], ["image", "motion"], {"image": "image"})
    assert files.name == "pictures_sensor_files"
    rows = TableFiles(["pictures.tsv", "sensor.jsonl"], MODALITIES).source(["image", "motion"])
    assert isinstance(rows, MergedSource)
    assert rows[0].fields == {"image": "a.png", "motion": [[1, 2]]}
    alone = TableFiles(["pictures.tsv", "sensor.jsonl"], MODALITIES).source(["motion"])
    assert isinstance(alone, ManifestSource)
    labelled = TableFiles(["pictures.tsv", "sensor.jsonl"], MODALITIES).source(["image"], ["place"])
    assert labelled[0].labels["place"] == "lab"


def test_a_folder() -> None:
    rows = TableFiles(["files"], MODALITIES).source(["image"])
    assert isinstance(rows, FolderSource)
    assert rows[0].id == "a"


@pytest.mark.parametrize(
    ("paths", "options", "message"),
    [
        (["pictures.tsv", "pairs.csv"], {}, "pairs.csv: no column of ids named id; it has image, text"),
        (["pictures.tsv"], {"columns": {"text": "captoin"}}, "no column 'captoin'; did you mean 'caption'"),
        (["pictures.tsv"], {"columns": {"smell": "caption"}}, "column 'caption': no modality 'smell'"),
        (["rows.xlsx"], {}, "rows.xlsx: a table ends in .tsv, .csv, .jsonl; convert it, or give a folder"),
        (["gone.jsonl"], {}, "gone.jsonl: No such file"),
        (["empty.csv"], {}, "empty.csv: no rows"),
    ],
)
def test_mistakes(paths: list[str], options: dict[str, dict[str, str]], message: str) -> None:
    Path("empty.csv").touch()
    with pytest.raises(ValueError, match=message):
        TableFiles(paths, MODALITIES, **options)


def test_two_tables_with_the_same_field() -> None:
    Path("more.csv").write_text("id,image\na,c.png\n")
    with pytest.raises(ValueError, match=r"pictures\.tsv and more\.csv both have image"):
        TableFiles(["pictures.tsv", "more.csv"], MODALITIES).source(["image"])
