"""Shards for ``bench data``: an index of full size on links to one tar."""

from pathlib import Path

import pytest

from onepeace_pl.benchmarks import shards
from onepeace_pl.data.sources import TarSource


def test_every_row_of_the_links_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SAMPLES", 6)
    shards.make_shards(tmp_path / "made", 20)
    source = TarSource(str(tmp_path / "made"))
    assert len(source) == 20
    assert [source[n].fields["text"].split()[-1] for n in range(20)] == [str(n % 6) for n in range(20)]
    shards.make_shards(tmp_path / "made", 20)  # is there
    with pytest.raises(ValueError, match="another number of rows"):
        shards.make_shards(tmp_path / "made", 21)


@pytest.mark.slow
def test_reading_goes_on_after_a_kill(tmp_path: Path) -> None:
    shards.make_shards(tmp_path / "made", 10_500)
    cost = shards.measure_reading(tmp_path / "made", ranks=2, workers=1, batch_size=4)
    assert cost.same_order
    assert all(each.main < 200 << 20 for each in cost.ranks)
