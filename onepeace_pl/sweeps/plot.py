"""Plot of a sweep: a panel for each metric, mean and standard deviation beside chance and optimum."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from onepeace_pl.sweeps.table import Summary
from onepeace_pl.utils.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"chance": "#d73027", "baseline": "#fc8d59", "optimum": "#1a9850"}


def draw(summaries: Sequence[Summary], path: Path) -> bool:
    """Write the plot as a PNG.

    Args:
        summaries: Rows of the table; those without a number are left out.
        path: Output file.

    Returns:
        Whether there was anything to draw.
    """
    from matplotlib.figure import Figure

    panels: dict[str, list[Summary]] = {}
    for summary in summaries:
        if summary.mean is not None and summary.metric:
            panels.setdefault(summary.metric, []).append(summary)
    if not panels:
        return False
    heights = [len(rows) + 1.6 for rows in panels.values()]  # in lines; axis and title take the rest
    figure = Figure(figsize=(8, 0.32 * sum(heights) + 0.5), dpi=110, layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for panel, (metric, rows) in zip(axes, panels.items(), strict=True):
        _draw_panel(panel, metric, rows)
    with replacing(path) as new:
        figure.savefig(new)
    return True


def _draw_panel(axes: Axes, metric: str, rows: Sequence[Summary]) -> None:
    for line, summary in enumerate(rows):
        axes.plot(
            summary.values, [line] * len(summary.values), "o", color="#9ecae1", markersize=3.5, zorder=2
        )
        axes.errorbar(
            summary.mean or 0,
            line,
            xerr=summary.std,
            fmt="o",
            color="#08519c",
            capsize=3,
            markersize=5,
            zorder=3,
        )
        for kind, colour in COLOURS.items():
            if kind in summary.references:
                at = summary.references[kind]
                axes.plot([at, at], [line - 0.38, line + 0.38], color=colour, linewidth=1.8, zorder=1)
    axes.set(yticks=range(len(rows)), yticklabels=[_label(summary) for summary in rows], xlabel=metric)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(labelsize=8)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    kinds = [kind for kind in COLOURS if any(kind in summary.references for summary in rows)]
    for kind in kinds:
        axes.plot([], [], color=COLOURS[kind], linewidth=1.8, label=kind)
    if kinds:
        axes.legend(fontsize=7, frameon=False, ncols=len(kinds), loc="lower right", bbox_to_anchor=(1, 1))


def _label(summary: Summary) -> str:
    seeds = f" ({len(summary.values)})" if len(summary.values) > 1 else ""
    label = re.sub(r"~[0-9a-f]{6}", "", summary.group.label)  # digests are for folders
    return f"{label.replace(',', ', ')}{seeds}"
