"""Shipped configs, and the lookup of a config by path or name. No torch.

A config is named by its path; otherwise, by the path of a shipped one, as ``configs ls`` prints it (the folder
``configs/`` and the ending may be left out), or by the name of its file alone where no other has that.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import onepeace_pl
from onepeace_pl.errors import UserError, nearest
from onepeace_pl.utils.regular_files import is_endless

ENDINGS = (".yaml", ".yml")


def shipped() -> Path:
    """Return the folder of the configs that come with the package.

    Raises:
        FileNotFoundError: This installation has none.
    """
    package = Path(onepeace_pl.__file__).parent
    for folder in (package / "configs", package.with_name("configs")):  # a wheel's, a checkout's
        if folder.is_dir():
            return folder
    raise FileNotFoundError("this installation has no configs; clone the repository for them")


def find_config(name: str, start: Path = Path(), kind: str = "") -> Path:
    """Return the file that ``name`` means.

    Args:
        name: A path, or the name of a shipped config: ``configs/quickstart.yaml``, ``paper/esc50``, ``quickstart``.
        start: Folder of relative paths.
        kind: Folder of the shipped configs that is meant where several files have that name.

    Raises:
        UserError: There is none, or several; tells the nearest name.
    """
    path = start / name
    if path.is_file():
        return Path(os.path.normpath(path))
    if is_endless(path):
        raise UserError(f"'{name}' is a pipe or a device; give a YAML file")
    root = shipped()
    files = {file.relative_to(root).with_suffix("").as_posix(): file for file in root.rglob("*.yaml")}
    bare = name.removeprefix("configs/").removesuffix(".yaml")
    if bare in files:
        return files[bare]
    same = [full for full in files if full.rpartition("/")[2] == name]
    chosen = [full for full in same if full.startswith(f"{kind}/")] if len(same) > 1 and kind else same
    if len(chosen) == 1:
        return files[chosen[0]]
    if same:
        raise UserError(f"config '{name}' may be {' or '.join(sorted(same))}; say which")
    known = [*_beside(path, name), *files, *(full.rpartition("/")[2] for full in files)]
    raise UserError(f"no config '{name}'; {nearest(bare, known, 'configs ls lists those that ship')}")


def with_found_configs(words: Sequence[str]) -> list[str]:
    """Replace what a command line calls a config by its file: every ``--config``, and every other ``*.yaml``.

    The former must be there; of the latter, the parser knows better what is wrong with them.
    """
    found = []
    for at, word in enumerate(words):
        option, equals, value = word.partition("=")
        if not equals or not option.startswith("-"):
            option, value = (words[at - 1] if at else ""), word
        found.append(word.removesuffix(value) + _file_of(option, value))
    return found


def _file_of(option: str, value: str) -> str:
    if option in ("-c", "--config") and ":" not in value:  # the parser takes the text of a config, too
        return str(find_config(value))
    part = shipped() / value.removeprefix("configs/")
    is_part = option.startswith("--") and value.startswith("configs/") and value.endswith(ENDINGS)
    return str(part) if is_part and part.is_file() and not Path(value).is_file() else value


def _beside(path: Path, name: str) -> Iterable[str]:
    """Return names, written like ``name``, of the configs in the folder where it would be."""
    folder = path.parent
    if not folder.is_dir():
        return []
    return [
        os.path.join(os.path.dirname(name), file.name) for file in folder.iterdir() if file.suffix in ENDINGS
    ]
