"""Read a sweep's YAML: keys and types are parsed as on the command line; paths are relative to the file."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser

from onepeace_pl.cli.explain import explain
from onepeace_pl.cli.shipped import find_config
from onepeace_pl.cli.yaml_text import parse_yaml, read_yaml_text, shown
from onepeace_pl.errors import UserError
from onepeace_pl.sweeps import plan as plans
from onepeace_pl.sweeps.plan import SweepPlan, check


def read_plan(path: Path) -> SweepPlan:
    """Read a sweep's YAML.

    Args:
        path: The file.

    Returns:
        The plan, with paths of YAML files as seen from the working directory.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: Something in it can't be right; one line says what and where.
    """
    content = read_yaml_text(path)
    try:
        plan = _parsed(_load(content))
        plan.name = plan.name or path.stem
        check(plan)
        _find_files(plan, path.parent)
    except ValueError as error:
        raise UserError(f"{shown(path)}: {error}") from None
    return plan


class _Loader(yaml.SafeLoader):
    """Rejects duplicate keys, of which YAML silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Make a mapping."""
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise UserError(f"line {key.start_mark.line + 1}: '{key.value}' comes twice; rename one")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _load(text: str) -> dict[str, Any]:
    try:
        content = parse_yaml(text, _Loader)
    except yaml.YAMLError as error:
        raise UserError(f"no valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError("a sweep is a mapping that names 'runs'; see docs/guide/sweeps.md")
    return content


def _parsed(content: dict[str, Any]) -> SweepPlan:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(SweepPlan)
    try:
        return SweepPlan(**vars(parser.instantiate(parser.parse_object(content))))
    except Exception as error:
        line = explain(str(error), error, parser.get_defaults().keys())
    raise UserError(re.sub(rf"{re.escape(plans.__name__)}\.(\w+)", r"\1", line))


def _find_files(plan: SweepPlan, folder: Path) -> None:
    for key, part in plan.parts():
        names = [part.config] if isinstance(part.config, str) else part.config
        part.config = [_found_config(name, folder, f"{key}.config") for name in names]
        part.options = _with_paths(part.options, folder, f"{key}.options")
    if plan.search:
        plan.search.space = _with_paths(plan.search.space, folder, "search.space")


def _with_paths(options: Mapping[str, Any], folder: Path, key: str) -> dict[str, Any]:
    def found(option: str, value: Any) -> Any:
        if isinstance(value, list):
            return [found(option, inner) for inner in value]
        if isinstance(value, str) and value.endswith((".yaml", ".yml")):
            return _seen_from_here(value, folder, f"{key}.{option}")
        return value

    return {option: found(option, value) for option, value in options.items()}


def _found_config(name: str, folder: Path, key: str) -> str:
    try:
        return shown(find_config(name, folder))
    except ValueError as error:
        raise UserError(f"{key}: {error}") from None


def _seen_from_here(name: str, folder: Path, key: str) -> str:
    path = Path(os.path.normpath(folder / name))
    if not path.is_file():
        raise UserError(f"{key}: no file '{name}'; a path is seen from the folder of the sweep's file")
    return shown(path)
