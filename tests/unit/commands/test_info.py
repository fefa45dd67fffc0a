"""``info``: versions, plugins, kernels, and what a config would build."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import onepeace_pl
from onepeace_pl.cli import main
from onepeace_pl.utils import plugins


def test_versions_and_kernels(capsys):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert ["onepeace_pl", onepeace_pl.__version__] in [line.split() for line in out.splitlines()]
    assert "shared_bias" in out
    assert "parameters" not in out


def test_parts_of_a_config(configs, capsys):
    Path("off.yaml").write_text("model: {backbone: {adapters: {text: toy.Off}}}")
    assert main(["info", "-c", str(configs / "experiment/classify.yaml"), "-c", "off.yaml"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    image = 4 * 4 * 3 * 16 + 16
    assert ["backbone.adapters", "shared", str(image), str(image)] in rows
    assert ["task", "shared", "51", "51"] in rows
    assert rows[0] == ["parameters"]  # what was asked for comes first
    assert not Path("runs").exists()


@pytest.fixture
def _announced(monkeypatch):
    entries = [
        EntryPoint(name, target, plugins.GROUP) for name, target in (("ok", "my_sensors"), ("bad", "gone"))
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: entries)
    plugins.load_plugins.cache_clear()
    yield
    plugins.load_plugins.cache_clear()


@pytest.mark.usefixtures("_announced")
def test_plugins_are_loaded_or_the_reason_is_told(configs, capsys):
    assert main(["info"]) == 0
    rows = [line.split(maxsplit=4) for line in capsys.readouterr().out.splitlines()]
    assert ["ok", "my_sensors", "unknown", "package", "loaded"] in rows
    assert [
        "bad",
        "gone",
        "unknown",
        "package",
        "not loaded: ModuleNotFoundError: No module named 'gone'",
    ] in rows
    # a class of a plugin needs no module in front, and the broken plugin stops nothing
    words = "--model.backbone.adapters.depth=DepthAdapter", "--trainer.max_steps=1"
    assert main(["fit", "-c", str(configs / "experiment/classify.yaml"), *words]) == 0
    assert "note: plugin 'bad' was not loaded: ModuleNotFoundError" in capsys.readouterr().err
