"""Tables of Arrow: Parquet, and datasets of Hugging Face that were saved to disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from onepeace_pl.embedding import find_items
from onepeace_pl.embedding.tables import is_table, open_table
from onepeace_pl.errors import UserError

ALL = ("text", "image", "audio")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_parquet_of_many_batches():
    pa = pytest.importorskip("pyarrow", reason="needs the extra `search`")
    import pyarrow.parquet as pq

    columns = {"text": [f"text {i}" for i in range(1000)], "year": list(range(1000))}
    pq.write_table(pa.table(columns), "t.parquet", row_group_size=300)
    items = list(find_items(["t.parquet"], ALL))
    assert [item.inputs["text"] for item in items] == columns["text"]
    assert items[-1].id == f"{os.path.abspath('t.parquet')}#999"
    assert items[-1].metadata == {"year": 999}
    (named, *_) = find_items(["t.parquet"], ALL, id_column="year", metadata=False)
    assert (named.id.endswith("#0"), named.metadata, named.row) == (True, {}, "0")
    whole = Path("t.parquet").read_bytes()
    Path("t.parquet").write_bytes(whole[:-100])
    with pytest.raises(UserError, match=r"t\.parquet: damaged Parquet file"):
        list(find_items(["t.parquet"], ALL))


def test_a_saved_dataset():
    datasets = pytest.importorskip("datasets", reason="needs datasets: pip install datasets")
    columns = {"text": ["one", "two", "three"], "image": ["a.png", "/b.png", None]}
    made = datasets.Dataset.from_dict(columns)
    made.save_to_disk("d")
    assert is_table(Path("d"))
    items = list(find_items(["d"], ALL))
    folder = os.path.abspath("d")
    assert [(item.modality, item.inputs[item.modality]) for item in items] == [
        ("text", "one"),
        ("image", f"{folder}/a.png"),
        ("text", "two"),
        ("image", "/b.png"),
        ("text", "three"),
    ]
    datasets.DatasetDict({"train": made, "test": made.select([1])}).save_to_disk("several")
    (text, image) = find_items(["several"], ALL, split="test")
    assert (text.inputs, image.text) == ({"text": "two"}, "two")
    with pytest.raises(UserError, match=r"has the splits train, test; name one \(--split\)"):
        open_table("several")
    pictures = made.remove_columns("image").add_column("image", [{"bytes": b"x", "path": None}] * 3)
    pictures.cast_column("image", datasets.Image()).save_to_disk("pictures")
    (first, *_) = find_items(["pictures"], ALL, modality="image")
    assert first.inputs["image"]["bytes"] == b"x"  # not decoded while it is read


def test_fields_of_rows():
    Path("t.jsonl").write_text('{"text": "one"}\n{"image": "a.png"}\n{"text": "", "image": "b.png"}\n')
    items = list(find_items(["t.jsonl"], ALL))
    assert [(item.modality, item.row) for item in items] == [("text", "0"), ("image", "1"), ("image", "2")]
    fused = list(find_items(["t.jsonl"], ALL, fused=True))
    assert [item.error.rpartition(": ")[2] for item in fused] == ["no image", "no text", "no text"]
    with pytest.raises(UserError, match="one column, text, and --fuse"):
        list(find_items(["t.jsonl"], ALL, "text", fused=True))
    with pytest.raises(UserError, match="no column of audio"):
        list(find_items(["t.jsonl"], ALL, "audio"))
