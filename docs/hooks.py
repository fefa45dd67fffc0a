"""Pages of the site that lie outside ``docs/``: READMEs, project files, and every source file that a page links to.

A link in Markdown is relative to its own file, so that it works in a checkout and on a repository's host. Here it is
made relative to the page that the site has for its target.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    **{name: name.lower() for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")},
    **{
        path.relative_to(ROOT).as_posix(): f"tasks/{path.parent.name}.md"
        for path in sorted(ROOT.glob("tasks/*/README.md"))
    },
}
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)")  # relative targets, without the anchor


def repository_path(page: str) -> str:
    """Return the file that a page is made of, relative to the repository's root."""
    return next((path for path, name in PAGES.items() if name == page), f"docs/{page}")


def site_path(path: str) -> str:
    """Return the page, or the asset, that the site has for a file of the repository."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return PAGES.get(path, f"source/{path}.md")


def targets(text: str, path: str) -> dict[str, str]:
    """Return the file behind each relative link of a Markdown file, relative to the repository's root."""
    folder = posixpath.dirname(path)
    return {link: posixpath.normpath(posixpath.join(folder, link)) for link in LINK.findall(text)}


def source_page(path: str) -> str:
    """Return the Markdown page that shows a source file."""
    text = (ROOT / path).read_text(encoding="utf-8")
    language = {".py": "python", ".yaml": "yaml", ".toml": "toml"}.get(Path(path).suffix, "text")
    return f'---\nsearch: {{exclude: true}}\n---\n# {path}\n\n~~~~ {{.{language} linenums="1"}}\n{text}~~~~\n'


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made of files outside ``docs/``."""
    pages = {path: (ROOT / path).read_text(encoding="utf-8") for path in PAGES}
    written = {
        file.src_uri: Path(file.abs_src_path).read_text(encoding="utf-8")
        for file in files.documentation_pages()
    }
    for path, text in pages.items():
        files.append(File.generated(config, PAGES[path], content=text))
    linked = {
        target
        for path, text in [*pages.items(), *((f"docs/{page}", text) for page, text in written.items())]
        for target in targets(text, path).values()
    }
    for path in sorted(linked):
        if not path.startswith("docs/") and path not in PAGES and (ROOT / path).is_file():
            files.append(File.generated(config, site_path(path), content=source_page(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Make links relative to the page of the site."""
    if page.is_homepage:
        page.meta["hide"] = ["navigation"]  # its section has no other page
    path, here = repository_path(page.file.src_uri), posixpath.dirname(page.file.src_uri) or "."
    found = targets(markdown, path)
    return LINK.sub(lambda link: posixpath.relpath(site_path(found[link[1]]), here), markdown)
