from pathlib import Path
from typing import Any

import pytest

from onepeace_pl.data.datasets import Nlvr2
from tests.unit.data.datasets.making import json_lines, text_file


def statement(identifier: str, label: str = "True", **more: Any) -> dict[str, Any]:
    return {"identifier": identifier, "sentence": "There are two dogs.", "label": label, **more}


def test_rows(tmp_path: Path) -> None:
    rows = [statement("train-10171-0-1", "False", directory=64), statement("train-3-1-0")]
    source = Nlvr2(json_lines(tmp_path / "train.json", rows), "/images/train")
    row = source[0]
    assert row.id == "train-10171-0-1"
    assert row.fields["image"] == (
        "/images/train/64/train-10171-0-img0.png",
        "/images/train/64/train-10171-0-img1.png",
    )
    assert row.fields["text"] == "There are two dogs."
    assert [labels["truth"] for labels in source.labels()] == [False, True]
    assert source.files(1) == [f"/images/train/train-3-1-img{i}.png" for i in (0, 1)]
    assert source.published.rows == (86_373,)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (statement("dev-1-0-0", "perhaps"), r"dev\.json:1: label 'perhaps' is neither True nor False"),
        (statement("dev"), r"identifier 'dev' is not <split>-<pair>-<number>"),
        ({"identifier": "dev-1-0-0"}, r"dev\.json:1: no 'label'"),
    ],
)
def test_bad_rows_are_refused(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Nlvr2(json_lines(tmp_path / "dev.json", [row]), "/images")


def test_bad_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dev\.json:2: not JSON"):
        Nlvr2(
            text_file(tmp_path / "dev.json", '{"identifier": "a-0", "label": "True", "sentence": ""}', "x"),
            "/i",
        )
    with pytest.raises(ValueError, match=r"dev\.json: no rows"):
        Nlvr2(text_file(tmp_path / "dev.json", ""), "/i")
