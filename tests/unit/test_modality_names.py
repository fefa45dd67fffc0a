"""Nothing outside the adapters asks which modality it has before it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACES = (
    "onepeace_pl/nn",
    "onepeace_pl/backbone",
    "onepeace_pl/objectives",
    "onepeace_pl/optim",
    "onepeace_pl/metrics",
    "onepeace_pl/training",
    "onepeace_pl/modalities/adapter.py",
    "onepeace_pl/modalities/base.py",
    "tasks/pretraining",
)
NAMES = {"text", "image", "audio"}
# tables of the paper's three adapters, and the names of official checkpoints
ALLOWED = {
    "onepeace_pl/backbone/presets.py",
    "onepeace_pl/backbone/build.py",
    "onepeace_pl/checkpoints/names.py",
    "onepeace_pl/checkpoints/deduce.py",
}


def files() -> list[Path]:
    found = [
        p
        for place in PLACES
        for p in ([ROOT / place] if place.endswith(".py") else (ROOT / place).rglob("*.py"))
    ]
    return [path for path in found if str(path.relative_to(ROOT)) not in ALLOWED]


def literals(tree: ast.AST) -> list[int]:
    """Lines on which a modality is named, but for the defaults of arguments."""
    defaults = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.arguments)
        for default in (*node.defaults, *node.kw_defaults)
        if default is not None
        for inner in ast.walk(default)
    }
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in NAMES and id(node) not in defaults
    ]


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_modality_is_named(path: Path) -> None:
    assert literals(ast.parse(path.read_text(encoding="utf-8"))) == []


def test_the_search_finds() -> None:
    assert len(files()) > 30
    assert literals(ast.parse('def f(m="text"):\n    if m == "audio":\n        return 1')) == [2]
