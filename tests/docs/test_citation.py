"""CITATION.cff cites the version that is here."""

from pathlib import Path

import yaml

from onepeace_pl.version import VERSION


def test_version() -> None:
    cited = yaml.safe_load((Path(__file__).parents[2] / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == VERSION
    assert cited["license"] == "Apache-2.0"
