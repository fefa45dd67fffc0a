"""Draw the packages of ``onepeace_pl`` and the imports between them: ``python docs/architecture.py`` writes the SVG.

Packages stand in layers: each imports only from layers below. An arrow that follows from others is left out, and so
are those to ``utils`` and ``errors``, which every package may import.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Mapping
from html import escape
from itertools import pairwise
from math import fsum
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs/images/architecture.svg"
PACKAGE = "onepeace_pl"
BASE = {"utils", "errors", "version"}
BOX, HEIGHT, GAP, RISE, MARGIN = 200, 76, 16, 40, 20  # sizes in pixels
Graph = dict[str, set[str]]


def folders(root: Path) -> dict[str, Path]:
    """Return the folder of each package, ``tasks`` among them, which a checkout has beside the others."""
    found = {path.parent.name: path.parent for path in root.glob(f"{PACKAGE}/*/__init__.py")}
    return {
        name: folder
        for name, folder in sorted({**found, "tasks": root / "tasks"}.items())
        if name not in BASE
    }


def imported(file: Path) -> Iterator[str]:
    """Yield the packages of ``onepeace_pl`` that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (name.split(".")[1] for name in names if name.startswith(f"{PACKAGE}."))


def imports(packages: Mapping[str, Path]) -> Graph:
    """Return which packages each package imports."""
    found = {
        name: {other for file in folder.rglob("*.py") for other in imported(file)}
        for name, folder in packages.items()
    }
    return {
        name: {other for other in others if other in packages and other != name}
        for name, others in found.items()
    }


def reachable(graph: Graph, start: str) -> set[str]:
    """Return the packages that a package imports, directly or through others."""
    seen: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        if (name := waiting.pop()) not in seen:
            seen.add(name)
            waiting.extend(graph[name])
    return seen


def reduced(graph: Graph) -> Graph:
    """Return the graph without arrows that follow from others (its transitive reduction)."""
    return {
        name: {
            other for other in others if not any(other in reachable(graph, via) for via in others - {other})
        }
        for name, others in graph.items()
    }


def layers(graph: Graph) -> dict[str, int]:
    """Return the layer of each package: one more than the highest that it imports."""
    heights: dict[str, int] = {}

    def height(name: str, above: tuple[str, ...] = ()) -> int:
        if name in above:
            raise ValueError(f"packages import each other: {' -> '.join([*above, name])}")
        if name not in heights:
            heights[name] = max((height(other, (*above, name)) + 1 for other in graph[name]), default=0)
        return heights[name]

    return {name: height(name) for name in sorted(graph)}


def with_waypoints(graph: Graph, heights: dict[str, int]) -> tuple[Graph, dict[str, int], list[list[str]]]:
    """Put a waypoint into each layer that an arrow crosses; also return each arrow as a list of points."""
    steps: Graph = {name: set() for name in graph}
    levels, routes = dict(heights), []
    for name in sorted(graph):
        for other in sorted(graph[name]):
            between = range(heights[name] - 1, heights[other], -1)
            route = [name, *(f"{name}>{other}@{level}" for level in between), other]
            levels.update(zip(route[1:-1], between, strict=True))
            for upper, lower in pairwise(route):
                steps.setdefault(upper, set()).add(lower)
            routes.append(route)
    return steps, levels, routes


def placed(steps: Graph, levels: dict[str, int]) -> dict[str, float]:
    """Return the horizontal center of each point: near the mean of its neighbours, without overlap."""
    around: Graph = {name: set(steps.get(name, ())) for name in levels}
    for upper, others in steps.items():
        for lower in others:
            around[lower].add(upper)
    rows = [
        sorted(name for name in levels if levels[name] == level) for level in range(max(levels.values()) + 1)
    ]
    width = {name: 24 if "@" in name else BOX for name in levels}
    center = {name: float(index * BOX) for row in rows for index, name in enumerate(row)}
    for sweep in range(40):
        for row in rows if sweep % 2 else reversed(rows):
            # exact sums: sets have another order in every process
            wanted = {name: fsum(center[o] for o in around[name]) / max(len(around[name]), 1) for name in row}
            row.sort(key=lambda name: (wanted[name], name))
            edge, shift = float("-inf"), 0.0
            for name in row:
                center[name] = max(wanted[name], edge + GAP + width[name] / 2)
                edge = center[name] + width[name] / 2
                shift += (wanted[name] - center[name]) / len(row)
            for name in row:
                center[name] += shift
    left = min(center[name] - width[name] / 2 for name in levels)
    return {name: round(x - left + MARGIN) for name, x in center.items()}


def summary(folder: Path) -> list[str]:
    """Return the first line of a package's docstring in lines that fit into its box."""
    text = (
        ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    ).splitlines()[0]
    head, colon, tail = text.partition(": ")
    text = tail if colon and len(head.split()) <= 2 else text
    text = re.split(r"[;.] |\.$", text.replace("``", ""))[0]
    return textwrap.wrap(text[0].upper() + text[1:], 31, max_lines=3, placeholder=" ...")


def svg(root: Path = ROOT) -> str:
    """Return the picture."""
    packages = folders(root)
    heights = layers(graph := imports(packages))
    steps, levels, routes = with_waypoints(reduced(graph), heights)
    x = placed(steps, levels)
    top = max(heights.values())
    y = {name: MARGIN + (top - level) * (HEIGHT + RISE) for name, level in levels.items()}
    width = max(x[name] + BOX // 2 for name in packages) + MARGIN
    height = MARGIN + (top + 1) * (HEIGHT + RISE) + 32 + MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
        "<title>Packages of onepeace_pl and the imports between them</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#7986cb"/></marker></defs>',
        f'<rect width="{width}" height="{height}" rx="8" fill="#fafbff"/>',
    ]
    for route in routes:
        path = f"M{x[route[0]]} {y[route[0]] + HEIGHT}"
        for upper, lower in pairwise(route):
            start, end = y[upper] + HEIGHT, y[lower] - (2 if lower == route[-1] else 0)
            path += f" C{x[upper]} {start + 25} {x[lower]} {end - 25} {x[lower]} {end}"
            path += f" V{y[lower] + HEIGHT}" if lower != route[-1] else ""
        lines.append(
            f'<path d="{path}" fill="none" stroke="#7986cb" stroke-width="1.3" marker-end="url(#tip)"/>'
        )
    for name, folder in packages.items():
        left = x[name] - BOX // 2
        lines += [
            f'<rect x="{left}" y="{y[name]}" width="{BOX}" height="{HEIGHT}" rx="6" fill="#fff" stroke="#3f51b5"/>',
            f'<text x="{x[name]}" y="{y[name] + 20}" text-anchor="middle" font-size="15" font-weight="bold" '
            f'fill="#1a237e">{name}</text>',
        ]
        for index, line in enumerate(summary(folder)):
            lines.append(
                f'<text x="{x[name]}" y="{y[name] + 38 + 14 * index}" text-anchor="middle" font-size="11" '
                f'fill="#37474f">{escape(line)}</text>'
            )
    lines += [
        f'<rect x="{MARGIN}" y="{height - MARGIN - 32}" width="{width - 2 * MARGIN}" height="32" rx="6" '
        'fill="#e8eaf6"/>',
        f'<text x="{width // 2}" y="{height - MARGIN - 11}" text-anchor="middle" font-size="13" fill="#1a237e">'
        "utils, errors: every package may import them</text>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(svg(), encoding="utf-8")
