"""What a config is for, and the files that belong to it. No torch."""

from pathlib import Path

from onepeace_pl.cli.merge import content_of, mentions, parent_names, parents


def purpose(path: Path) -> str:
    """Return a config's first line of comment."""
    with path.open(encoding="utf-8") as lines:
        first = next(lines, "").strip()
    return first.lstrip("# ") if first.startswith("#") else ""


def describes_run(path: Path) -> bool:
    """Say whether a config, with those that it starts from, is a whole run and no part of one."""
    return {"model", "data"} <= _sections(path)


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


def _sections(path: Path) -> set[str]:
    content = content_of(path)
    own = set(content) if isinstance(content, dict) else set()
    return own.union(*map(_sections, parents(path)))
