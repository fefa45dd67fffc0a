import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onepeace_pl.data.batches import Source
from onepeace_pl.data.sources import ManifestSource


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_csv(tmp_path: Path) -> None:
    source = ManifestSource(write(tmp_path, "a.csv", 'image,text,place\na.png,"one, two",here\n'))
    assert isinstance(source, Source)
    row = source[0]
    assert source.modalities == ("image", "text")
    assert row.fields == {"image": str(tmp_path / "a.png"), "text": "one, two"}
    assert dict(row.labels) == {"place": "here"}
    assert list(source.texts()) == ["one, two"]


def test_json_lines_with_named_columns(tmp_path: Path) -> None:
    lines = [{"heat": f"{i}.npy", "says": f"text {i}", "key": i, "box": [1, 2]} for i in range(3)]
    path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, lines)))
    source = ManifestSource(path, {"thermal": "heat", "text": "says"}, id_column="key", root="/data")
    assert len(source) == 3
    assert source[2].id == "2"
    assert source[2].fields == {"thermal": "/data/2.npy", "text": "text 2"}
    assert dict(source[2].labels) == {"box": [1, 2]}


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        ("a.csv", "image,text\na.png\n", {}, r"a\.csv:2: 1 columns instead of 2"),
        ("a.csv", "picture,words\na,b\n", {}, r"no column named image, audio or text"),
        (
            "a.csv",
            "image,text\na,b\n",
            {"columns": {"text": "texts"}},
            r"no column 'texts'; did you mean 'text'\?",
        ),
        ("a.csv", "image,text\n", {}, r"a\.csv: no rows"),
        (
            "a.csv",
            "id,text\n1,a\n1,b\n",
            {"id_column": "id", "unique_ids": True},
            r"a\.csv:3: id '1' is already",
        ),
        ("a.jsonl", '{"text": "a"}\n{"text"\n', {}, r"a\.jsonl:2: not JSON"),
        ("a.jsonl", '{"text": "a"}\n{"txt": "b"}\n', {}, r"a\.jsonl:2: no 'text', which line 1 has"),
        ("a.jsonl", "[1]\n", {}, r"a\.jsonl:1: a list, not an object"),
        ("a.xlsx", "", {}, r"ends in \.csv or \.jsonl"),
    ],
)
def test_bad_manifests_are_refused(tmp_path: Path, name: str, text: str, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ManifestSource(write(tmp_path, name, text), **options)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone\.csv: No such file"):
        ManifestSource(str(tmp_path / "gone.csv"))


def test_a_picture_in_a_cell_may_be_long(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "PNG")
    cell = base64.b64encode(buffer.getvalue()).decode()
    assert len(cell) > 131_072  # the csv module's own limit
    source = ManifestSource(write(tmp_path, "a.csv", f"image,text\n{cell},noise\n"))
    assert source[0].fields["image"] == buffer.getvalue()
    with pytest.raises(ValueError, match=r"b\.csv:2: not valid CSV"):
        ManifestSource(write(tmp_path, "b.csv", 'image,text\na.png,"one" two\n'))
