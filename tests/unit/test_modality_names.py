"""No code outside a modality's own folder asks which modality it handles."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("onepeace_pl", "tasks/pretraining")
NAMES = {"text", "image", "audio"}
ALLOWED: set[str] = set()
# rooms about the data of certain modalities
ROOMS = {
    "onepeace_pl/modalities/text": "the modality itself",
    "onepeace_pl/modalities/image": "the modality itself",
    "onepeace_pl/modalities/audio": "the modality itself",
    "onepeace_pl/data/datasets": "public data sets, each of certain modalities",
    "onepeace_pl/data/sources": "file formats with columns and folders of the paper's modalities",
    "onepeace_pl/data/shards/encoding.py": "file formats of the paper's modalities",
    "onepeace_pl/data/labels": "boxes and masks are labels of images",
    "onepeace_pl/data/evaluation": "an answer is chosen from texts",
    "onepeace_pl/data/datamodule.py": "class names become prompts, which are text",
    "onepeace_pl/finetuning": "recipes of tasks and files, which are of the paper's modalities",
    "onepeace_pl/prediction/files.py": "endings of files of the paper's modalities",
    "onepeace_pl/results": "drawings of images and texts",
    "onepeace_pl/serving": "requests and a page of the paper's modalities, as other APIs name them",
    "onepeace_pl/embedding": "texts of tables are captions, too, and a column of what is written",
    "onepeace_pl/search": "full-text search and a page of the paper's modalities",
    "onepeace_pl/triworld": "a data set of the paper's modalities",
    "onepeace_pl/benchmarks": "workloads of the paper's sizes",
    "onepeace_pl/integrations": "other libraries know the paper's modalities by name",
    "onepeace_pl/commands": "options with which images, audio and text are given",
}


def files() -> list[Path]:
    found = [path for place in PLACES for path in sorted((ROOT / place).rglob("*.py"))]
    return [
        path
        for path in found
        if str(path.relative_to(ROOT)) not in ALLOWED
        and not any(path.is_relative_to(ROOT / room) for room in ROOMS)
    ]


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
    assert len(files()) > 100
    assert all((ROOT / room).exists() for room in ROOMS)
    assert literals(ast.parse('def f(m="text"):\n    if m == "audio":\n        return 1')) == [2]
