from pathlib import Path

import pytest

from onepeace_pl.data.batches import Skipped
from onepeace_pl.data.loading.skips import SkipLog


def test_each_row_is_listed_once(tmp_path: Path) -> None:
    log = SkipLog()
    log.path = tmp_path / "run" / "skipped.tsv"
    first, second = Skipped(3, "c", "row 3 (id c): bad"), Skipped(5, "e", "row 5 (id e): worse")
    with pytest.warns(UserWarning, match=r"skipped row 3 \(id c\): bad; all are listed in .*skipped\.tsv"):
        log.add([first])
    log.add([first, second])
    assert log.count == 2
    assert log.path.read_text().splitlines() == [
        "index\tid\treason",
        "3\tc\trow 3 (id c): bad",
        "5\te\trow 5 (id e): worse",
    ]
