"""List, show, copy and check configs.

configs ls                      the shipped configs; these names work wherever a config is expected
configs show FILE [flags]       the resolved config, each value with the file or flag that set it
configs cp FILE FOLDER          a copy of a config and of all files that it includes
configs check [FILE ...]        resolve configs and build them on the meta device; default: every shipped run
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from onepeace_pl.cli.catalogue import describes_run, purpose
from onepeace_pl.cli.merge import family
from onepeace_pl.cli.shipped import find_config, shipped, with_found_configs
from onepeace_pl.errors import UserError, nearest


def main(argv: Sequence[str]) -> int:
    """Run one of the four and return the exit code."""
    actions: dict[str, Callable[[list[str]], int]] = {"ls": _ls, "show": _show, "cp": _cp, "check": _check}
    action, *words = argv or ["ls"]
    if action in ("-h", "--help"):
        print(__doc__)
        return 0
    if action not in actions:
        raise UserError(f"configs has no '{action}'; {nearest(action, actions)}")
    return actions[action](words)


def _ls(words: list[str]) -> int:
    argparse.ArgumentParser("configs ls", description="List the shipped configs.").parse_args(words)
    root = shipped()
    files = sorted(root.rglob("*.yaml"), key=lambda path: (path.parent != root, path))
    names = [str(path.relative_to(root.parent)) for path in files]
    width = max(map(len, names), default=0) + 2
    for name, path in zip(names, files, strict=True):
        print(f"{name:{width}}{purpose(path)}".rstrip())
    return 0


def _show(words: list[str]) -> int:
    parser = argparse.ArgumentParser("configs show", description="Print the resolved config and its sources.")
    parser.add_argument("file", help="path or name of a config; --config and other flags of fit may follow")
    parser.add_argument("--all", action="store_true", help="include defaults")
    options, flags = parser.parse_known_args(words)
    from onepeace_pl.cli.origin import origins
    from onepeace_pl.cli.stand_in import resolve

    line = with_found_configs(["--config", options.file, *flags])
    for text, source in _lines(resolve(line), origins(line), options.all):
        print(f"{text:60}  # {source}" if source else text)
    return 0


def _cp(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "configs cp", description="Copy a config and the files that it includes."
    )
    parser.add_argument("file", help="path or name of a config")
    parser.add_argument("folder", type=Path, help="created if it does not exist")
    options = parser.parse_args(words)
    copies = _copies(find_config(options.file), options.folder)
    taken = next((new for new in copies.values() if new.exists()), None)
    if taken:
        raise UserError(f"'{taken}' exists already; nothing was copied")
    for old, new in copies.items():
        new.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(old, new)
        print(new)
    return 0


def _check(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "configs check", description="Resolve configs and build them on the meta device."
    )
    parser.add_argument("files", nargs="*", help="default: every shipped run")
    files = parser.parse_args(words).files or [
        str(path) for path in sorted(shipped().rglob("*.yaml")) if describes_run(path)
    ]
    failed = 0
    for file in files:
        failed += not _is_right(file)
    print(f"{len(files) - failed} of {len(files)} configs are right")
    return 2 if failed else 0


def _is_right(file: str) -> bool:
    from onepeace_pl.cli.failures import user_message
    from onepeace_pl.cli.stand_in import build

    try:
        _, without_data = build(["--config", file])
    except SystemExit:  # the parser has said why
        return False
    except Exception as error:
        line = user_message(error)
        if line is None:
            raise
        print(f"error: {file}: {line}", file=sys.stderr)
        return False
    if without_data:
        print(f"note: {file}: the data are not here ({without_data}): built without what only they know")
    return True


def _copies(file: Path, folder: Path) -> dict[Path, Path]:
    """Map every file of the config to its place: the way from one to the other stays as it was."""
    files = family(file)
    top = next(parent for parent in files[0].parents if all(f.is_relative_to(parent) for f in files))
    return {old: folder / old.relative_to(top) for old in files}


def _lines(
    config: Mapping[str, Any], origin: Mapping[str, str], everything: bool, key: str = "", indent: str = ""
) -> list[tuple[str, str]]:
    """Return YAML lines and the source of each; what nobody has set is left out unless ``everything``."""
    from onepeace_pl.cli.origin import plain

    lines = []
    for name, value in sorted(config.items(), key=lambda item: item[0] != "class_path"):
        full = f"{key}.{name}" if key else name
        if isinstance(value, Mapping) and value:
            inner = _lines(value, origin, everything, full, indent + "  ")
            lines += [(f"{indent}{name}:", ""), *inner] if inner else []
            continue
        source = origin.get(plain(full))
        if name == "class_path":  # may have been said by the bare name, or be what the options below are for
            source = source or origin.get(plain(key)) or ("default" if _is_set_below(key, origin) else None)
        if source or everything:
            lines.append((f"{indent}{name}: {_scalar(value)}", source or "default"))
    return lines


def _is_set_below(key: str, origin: Mapping[str, str]) -> bool:
    from onepeace_pl.cli.origin import plain

    return any(name.startswith(plain(key) + ".") for name in origin)


def _scalar(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6).strip()
    return text.removesuffix("...").strip()
