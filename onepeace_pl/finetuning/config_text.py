"""Text of a config: block style, short mappings in one line, comments behind values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import yaml

from onepeace_pl.utils.json_files import JsonObject

WIDTH = 110


def config_text(config: JsonObject, comments: Mapping[str, str], header: list[str]) -> str:
    """Return YAML.

    Args:
        config: The config.
        comments: Dotted key to a comment.
        header: Lines of comment at the beginning.
    """
    lines = [f"# {line}" for line in header]
    for key, value in config.items():
        lines += _entry(key, value, key, "", comments)
    return "\n".join(lines) + "\n"


def _entry(key: str, value: object, path: str, indent: str, comments: Mapping[str, str]) -> Iterator[str]:
    comment = f" # {comments[path]}" if path in comments else ""
    line = f"{indent}{key}: {_inline(value)}"
    inside = any(name.startswith(f"{path}.") for name in comments)
    if not isinstance(value, dict | list) or not value or (len(line) <= WIDTH and not inside and indent):
        yield line + comment
        return
    yield f"{indent}{key}:{comment}"
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _entry(name, inner, f"{path}.{name}", f"{indent}  ", comments)
    else:
        yield from (f"{indent}  - {_inline(inner)}" for inner in value)


def _inline(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
