"""Description of a config, and the files that it includes. No torch."""

from pathlib import Path

from onepeace_pl.cli.merge import content_of, parents


def purpose(path: Path) -> str:
    """Return a config's first line of comment."""
    with path.open(encoding="utf-8") as lines:
        first = next(lines, "").strip()
    return first.lstrip("# ") if first.startswith("#") else ""


def describes_run(path: Path) -> bool:
    """Return whether a config, with those that it starts from, is a whole run and no part of one."""
    return {"model", "data"} <= _sections(path)


def _sections(path: Path) -> set[str]:
    content = content_of(path)
    own = set(content) if isinstance(content, dict) else set()
    return own.union(*map(_sections, parents(path)))
