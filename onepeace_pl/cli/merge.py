"""Merging of config files: several ``--config`` files, and files that include others.

Stock jsonargparse merges everything but mappings (a later file replaces the whole of ``adapters``) and knows
no way to write ``--config`` down inside a file. Both are added here, in an action that otherwise is its own.
"""

import argparse
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ActionConfigFile, ArgumentParser, Namespace  # type: ignore[attr-defined]

from onepeace_pl.cli.shipped import find_config
from onepeace_pl.cli.yaml_text import parse_yaml, read_yaml_text, shown
from onepeace_pl.errors import UserError

PARENTS = "config"  # the key by which a file names those it starts from


class ReadingParser(ArgumentParser):
    """Parser that records the config files that it is reading, from the first one to the innermost."""

    reading: tuple[str, ...] = ()


class MergingConfigFile(ActionConfigFile):
    """``--config`` whose mappings add up, and whose files may name others to start from.

    The entries of a mapping join those of earlier files; an entry of the same name merges key by key. The
    files under ``config:`` (a path or a list, found from the folder of the file that names them, or the name of a
    shipped config) are read first, so what stands in the file itself wins.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Read one file into ``namespace``, after those that it starts from."""
        assert isinstance(parser, ReadingParser)
        assert isinstance(namespace, Namespace)
        path = Path(str(values))
        name = os.path.abspath(path) if path.is_file() else str(values)
        if name in parser.reading:
            parser.error("config files name each other: " + " -> ".join((*parser.reading, name)))
        if not parser.reading:
            _check_files(parser, path)
        parser.reading += (name,)
        for parent in parents(path):
            self(parser, namespace, str(parent))
        before = namespace.clone()
        super().__call__(parser, namespace, values, option_string)  # type: ignore[no-untyped-call]
        _keep_entries(before, namespace)
        # unknown keys are found while it is known which file holds them
        parser.validate(namespace, skip_required=True)
        parser.reading = parser.reading[:-1]


def _check_files(parser: argparse.ArgumentParser, path: Path) -> None:
    """Refuse, before it is parsed, a file that no config can be, and one that refers to such a file."""
    try:
        family(path)
    except UserError as error:
        parser.error(str(error))


def parents(path: Path) -> list[Path]:
    """Return the files that ``path`` starts from, in the order in which they are read."""
    return [find_config(name, path.parent) for name in parent_names(path)]


def parent_names(path: Path) -> list[str]:
    """Return the configs that ``path`` includes (``config:``)."""
    content = content_of(path)
    named = (content.get(PARENTS) or []) if isinstance(content, dict) else []
    return [named] if isinstance(named, str) else list(named)


def mentions(path: Path) -> Iterator[tuple[str, Path]]:
    """Yield (dotted key, file) for every part of ``path`` that stands in a file of its own; no ``config:``
    entries.
    """

    def walk(key: str, value: object) -> Iterator[tuple[str, Path]]:
        if isinstance(value, dict):
            for name, inner in value.items():
                if key or name != PARENTS:
                    yield from walk(f"{key}.{name}" if key else str(name), inner)
        elif isinstance(value, list):
            for inner in value:
                yield from walk(key, inner)
        elif isinstance(value, str) and value.endswith((".yaml", ".yml")) and (path.parent / value).exists():
            yield key, Path(os.path.normpath(path.parent / value))

    yield from walk("", content_of(path))


def content_of(path: Path) -> object:
    """Return the parsed YAML of ``path``, None where it cannot be read: the parser proper will complain.

    Raises:
        UserError: It is no file, or no file that a config can be.
    """
    with suppress(yaml.YAMLError, OSError):
        text = read_yaml_text(path)
        try:
            return parse_yaml(text)
        except UserError as error:
            raise UserError(f"{shown(path)}: {error}") from None
    return None


def family(path: Path) -> list[Path]:
    """Return a config and every file that it refers to by a path, directly or not."""
    found: list[Path] = []

    def visit(file: Path) -> None:
        file = file.resolve()
        if file in found:
            return
        found.append(file)
        by_path = [file.parent / name for name in parent_names(file)]  # else by a shipped config's name
        for other in (*filter(Path.is_file, by_path), *(mentioned for _, mentioned in mentions(file))):
            visit(other)

    visit(path)
    return found


def _keep_entries(old: Any, new: Any) -> None:
    """Put back what ``new`` lost of the mappings in ``old``; classes and groups are merged already."""
    a, b = (vars(x) if isinstance(x, Namespace) else x for x in (old, new))
    if not (isinstance(a, dict) and isinstance(b, dict)) or a.get("class_path") != b.get("class_path"):
        return
    for key in a.keys() & b.keys():
        _keep_entries(a[key], b[key])
    if isinstance(old, dict) and isinstance(new, dict):
        merged = {**old, **new}
        new.clear()
        new.update(merged)
