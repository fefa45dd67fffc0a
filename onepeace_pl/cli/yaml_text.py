"""YAML parsing of configs, with limits on file size and alias expansion."""

import stat
from pathlib import Path

import yaml
from jsonargparse import get_loader, set_loader

from onepeace_pl.cli.short_names import in_full
from onepeace_pl.errors import UserError
from onepeace_pl.utils.regular_files import is_endless

MOST_BYTES = 2**20
MOST_VALUES = 100_000
_TOO_DEEP = "this YAML is nested too deeply for a config"


def shown(path: Path | str) -> str:
    """Return a path as one would type it: seen from the working directory where it lies below."""
    path, here = Path(path), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def read_yaml_text(path: Path) -> str:
    """Return the text of a config file.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It is no regular file, larger than any config, or not UTF-8.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise UserError(f"{shown(path)} is a folder; give a YAML file")
    if is_endless(path):
        raise UserError(f"{shown(path)} is a pipe or a device; give a YAML file")
    if status.st_size > MOST_BYTES:
        raise UserError(
            f"{shown(path)} has {status.st_size / 2**20:.0f} MiB; a config has at most {MOST_BYTES // 2**20}: "
            "put data into a file of their own"
        )
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise UserError(
            f"{shown(path)} is no UTF-8 (byte 0x{byte:02x} at {error.start}); save it as UTF-8"
        ) from None


def parse_yaml(text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> object:
    """Return what YAML says.

    Raises:
        yaml.YAMLError: It is no YAML.
        UserError: It is no config: nested too deeply, or unfolding without end.
    """
    try:
        return check_size(yaml.load(text, loader))
    except RecursionError:
        raise UserError(_TOO_DEEP) from None


def check_size(value: object) -> object:
    """Return parsed YAML; refuse it where aliases make it refer to itself or unfold to more than any config has.

    Raises:
        UserError: It does.
    """
    sizes: dict[int, int] = {}

    def size(node: object) -> int:
        if not isinstance(node, dict | list):
            return 1
        if id(node) not in sizes:
            sizes[id(node)] = MOST_VALUES + 1  # a cycle has infinite size
            inner = node.values() if isinstance(node, dict) else node
            sizes[id(node)] = 1 + sum(map(size, inner))
        return sizes[id(node)]

    if size(value) > MOST_VALUES:
        raise UserError(
            f"this YAML unfolds to more than {MOST_VALUES:,} values; are its aliases (*name) meant?"
        )
    return value


def _load(stream: str) -> object:
    try:
        return in_full(check_size(_plain(stream)))
    except RecursionError:
        raise UserError(_TOO_DEEP) from None


_plain = get_loader("yaml")
set_loader("yaml", _load, (yaml.YAMLError,))
