"""Short class names: ``class_path: ClassFolder`` for a class of this package, as ``EarlyStopping`` for Lightning's.

jsonargparse finds a class by its name alone once its module is imported and where it derives from the type that is
asked for; a class here need not. So the name is looked up in the sources, without importing them.
"""

import functools
import os
import re
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import onepeace_pl

_CLASS = re.compile(r"^class ([A-Z]\w*)", re.M)
_PARTS = (
    "backbone",
    "callbacks",
    "checkpoints",
    "data",
    "dense",
    "heads",
    "modalities",
    "optim",
    "tasks",
    "training",
    "triworld",
)


@functools.cache
def modules_by_class() -> dict[str, str]:
    """Map the name of every class that a config may name to its module; a name that occurs twice is left out."""
    package = Path(onepeace_pl.__file__).parent
    files: list[Path] = []
    for part in _PARTS:
        for folder, _, names in os.walk(package / part, followlinks=True):  # tasks may be a link
            files += [Path(folder, name) for name in names if name.endswith(".py")]
    found: dict[str, set[str]] = defaultdict(set)
    for file in files:
        module = ".".join(("onepeace_pl", *file.relative_to(package).with_suffix("").parts))
        for name in _CLASS.findall(file.read_text(encoding="utf-8")):
            found[name].add(module.removesuffix(".__init__"))
    return {name: next(iter(modules)) for name, modules in found.items() if len(modules) == 1}


def in_full(value: object) -> object:
    """Return parsed YAML with every ``class_path`` that is a short name written out.

    A value that is itself such a name stays: what it means depends on its option. Its module is imported, so that
    the parser finds the class where it asks for one.
    """
    if isinstance(value, dict):
        return {key: _path(inner) if key == "class_path" else in_full(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [in_full(inner) for inner in value]
    if isinstance(value, str) and value in modules_by_class():
        import_module(modules_by_class()[value])
    return value


def _path(name: object) -> object:
    module = modules_by_class().get(name) if isinstance(name, str) else None
    return f"{module}.{name}" if module else name
