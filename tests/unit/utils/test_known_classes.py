"""What the config beside a checkpoint may name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonargparse._common import ImportDenied, check_import_path, parsing_settings

from onepeace_pl.utils.known_classes import known_classes

CONFIGS = Path(__file__).parents[3] / "configs"


def class_paths(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "class_path":
                yield inner
            else:
                yield from class_paths(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from class_paths(inner)


def test_every_class_of_the_shipped_configs_is_known() -> None:
    files = sorted(CONFIGS.rglob("*.yaml"))
    named = {path for file in files for path in class_paths(yaml.safe_load(file.read_text())) if "." in path}
    assert len(named) > 20
    with known_classes():
        for path in named:
            check_import_path(path)


def test_nothing_else_is_and_the_policy_ends() -> None:
    before = dict(parsing_settings)
    with known_classes():
        for path in (
            "os.system",
            "subprocess.Popen",
            "toy.ToyExperiment",
            "torch.load",
            "onepeace_pl.cli.main",
        ):
            with pytest.raises(ImportDenied):
                check_import_path(path)
    assert parsing_settings == before
