"""Origin of config values: the file or flag that set each of them, found without the parser.

Keys are compared without their ``init_args`` steps, since a file may leave those out.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import yaml

from onepeace_pl.cli.merge import PARENTS, content_of, mentions, parents
from onepeace_pl.cli.yaml_text import shown

COMMAND_LINE = "command line"
_NOT_CONFIG = {"-c", "--config", "--print_config"}


def plain(key: str) -> str:
    """Return a dotted key without ``init_args`` steps and without the ``+`` of an extended list."""
    return ".".join(step.removesuffix("+") for step in key.split(".") if step != "init_args")


def origins(words: Sequence[str]) -> dict[str, str]:
    """Map every key that ``words`` set, by files and flags, to the file or to ``command line``; the last one
    wins.

    Args:
        words: A command line without its verb, as for ``fit``.
    """
    found: dict[str, str] = {}
    for option, value in _options(words):
        if option in ("-c", "--config"):
            found |= _of_file(Path(value))
        elif option.startswith("--") and option not in _NOT_CONFIG:
            found |= _of_flag(option[2:], value)
    return found


def dropped(origin: Mapping[str, str], resolved: Mapping[str, object]) -> list[str]:
    """Report values that were dropped because another class was chosen, one line each.

    Args:
        origin: Result of ``origins``.
        resolved: The resolved config, nested mappings.
    """
    leaves = flat(resolved)
    present = {key[:at] for key in leaves for at, sign in enumerate(key + ".") if sign == "."}
    lines = []
    for key, source in origin.items():
        above = key
        while above and above not in present:
            above = above.rpartition(".")[0]
        owner = leaves.get(f"{above}.class_path")
        if above != key and owner and not str(owner).endswith(".Off"):  # which is meant to drop everything
            lines.append(f"{source}: {key} is dropped: {owner}, chosen later, does not take it")
    return lines


def flat(config: object, key: str = "") -> dict[str, object]:
    """Map the plain dotted key of every leaf of nested mappings to its value."""
    if not isinstance(config, Mapping) or not config:
        return {plain(key): config}
    steps = ((f"{key}.{name}" if key else str(name), inner) for name, inner in config.items())
    return {leaf: value for step, inner in steps for leaf, value in flat(inner, step).items()}


def file_of(path: Path, key: str) -> Path:
    """Return the file that holds ``key``: ``path`` or, of those that it mentions, the innermost one.

    Args:
        path: A config file.
        key: A dotted key; the longest part of it that a mention explains decides.
    """
    for mentioned, file in mentions(path):
        start = plain(mentioned)
        if plain(key) == start or plain(key).startswith(start + "."):
            return file_of(file, plain(key)[len(start) + 1 :])
    return path


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(words):
        option, equals, value = words[at].partition("=")
        has_value = at + 1 < len(words) and not words[at + 1].startswith("--")
        if option.startswith("-") and not equals and has_value:
            at, value = at + 1, words[at + 1]
        at += 1
        yield option, value


def _of_flag(key: str, value: str) -> dict[str, str]:
    if value.endswith((".yaml", ".yml")) and Path(value).is_file():
        return {plain(leaf): shown(file) for leaf, file in _leaves(Path(value), key).items()}
    with suppress(yaml.YAMLError):
        content = yaml.safe_load(value)
        return dict.fromkeys(flat(content if isinstance(content, Mapping) else None, key), COMMAND_LINE)
    return {plain(key): COMMAND_LINE}


def _of_file(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for parent in parents(path):
        found |= _of_file(parent)
    return found | {
        plain(key): shown(file) for key, file in _leaves(path).items() if key.partition(".")[0] != PARENTS
    }


def _leaves(path: Path, prefix: str = "") -> dict[str, Path]:
    mentioned = dict(mentions(path))
    found: dict[str, Path] = {}

    def walk(key: str, value: object) -> None:
        full = ".".join(filter(None, (prefix, key)))
        if key in mentioned and isinstance(value, str):
            found.update(_leaves(mentioned[key], full))
        elif isinstance(value, Mapping) and value:
            for name, inner in value.items():
                walk(f"{key}.{name}" if key else str(name), inner)
        else:
            found[full] = path

    walk("", content_of(path))
    return found
