"""The configs that ship, and the files that belong to a config. No torch."""

from pathlib import Path

import onepeace_pl
from onepeace_pl.cli.merge import content_of, mentions, parents


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


def purpose(path: Path) -> str:
    """Return a config's first line of comment."""
    with path.open(encoding="utf-8") as lines:
        first = next(lines, "").strip()
    return first.lstrip("# ") if first.startswith("#") else ""


def describes_run(path: Path) -> bool:
    """Say whether a config, with those that it starts from, is a whole run and no part of one."""
    return {"model", "data"} <= _sections(path)


def family(path: Path) -> list[Path]:
    """Return a config and every file that it refers to, directly or not."""
    found: list[Path] = []

    def visit(file: Path) -> None:
        file = file.resolve()
        if file in found:
            return
        found.append(file)
        for other in (*parents(file), *(mentioned for _, mentioned in mentions(file))):
            visit(other)

    visit(path)
    return found


def _sections(path: Path) -> set[str]:
    content = content_of(path)
    own = set(content) if isinstance(content, dict) else set()
    return own.union(*map(_sections, parents(path)))
