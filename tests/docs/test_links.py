"""Links, anchors, paths and class paths of all public pages lead somewhere."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tasks/*/README.md")])
FENCE = re.compile(r"^(```|~~~).*?^\1$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?![a-z]+:)([^)\s]+)\)")
PATH = re.compile(r"`((?:onepeace_pl|docs|tests|tasks|configs)/[\w./-]+)`")
DOTTED = re.compile(r"\bonepeace_pl(?!\.plugins\b)(?:\.\w+)+")  # that one is an entry point


@cache
def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchor(heading: str) -> str:
    """Return the anchor that Markdown gives to a heading."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


@pytest.fixture(params=PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])
def page(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        name, _, wanted = link.partition("#")
        target = page.parent / name if name else page
        assert target.is_file(), f"{page.name} links to {link}"
        if wanted:
            headings = re.findall(r"^#+ (.+)$", prose(target.resolve()), re.MULTILINE)
            assert wanted in map(anchor, headings), f"{page.name} links to {link}"


def test_paths_exist(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        pytest.skip("tells of paths that are gone")
    for path in PATH.findall(prose(page)):
        assert (ROOT / path).exists(), f"{page.name} names {path}"


def test_class_paths_exist(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        pytest.skip("tells of names that are gone")
    for dotted in DOTTED.findall(page.read_text(encoding="utf-8")):
        first, *names = dotted.split(".")
        place = ROOT / first
        while names and ((place / names[0]).is_dir() or (place / f"{names[0]}.py").is_file()):
            place /= names.pop(0)
        code = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        known = not names or re.search(rf"\b{names[0]}\b", code.read_text(encoding="utf-8"))
        assert known, f"{page.name} names {dotted}"


def test_cited_sections_of_the_reference_exist() -> None:
    cited = re.compile(r"docs/reference/(\w+)\.md(?:, sections? (\d+(?:\.\d+)?))?")
    files = [file for folder in ("onepeace_pl", "tasks") for file in (ROOT / folder).rglob("*.py")]
    found = {
        (*match, file.name) for file in files for match in cited.findall(file.read_text(encoding="utf-8"))
    }
    assert len(found) > 20
    for name, section, file in sorted(found):
        text = (ROOT / "docs/reference" / f"{name}.md").read_text(encoding="utf-8")
        assert not section or re.search(rf"^##+ {section}\.? ", text, re.MULTILINE), (
            f"{file}: {name}.md, {section}"
        )
