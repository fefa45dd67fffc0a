"""Plot of a run: losses by step, and R@1 by validation."""

from __future__ import annotations

from pathlib import Path

from onepeace_pl.callbacks.history import History
from onepeace_pl.utils.files import replacing

NO_LOSS = ("accuracy", "grad_norm", "iou", "lr", "scale", "skipped_updates")
"""How the names of what a training logs begin where it is no loss, behind the name of a task where there is one."""


def draw_curves(history: History, path: Path) -> None:
    """Write the curves as a PNG.

    Args:
        history: Curves to draw.
        path: Output file.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    panels = 1 + bool(history.recalls)
    width, height = 5.5 * panels, 3.4
    figure = Figure(figsize=(width, height), dpi=110)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    # Margins in inches: a layout that measures every label takes as long as drawing.
    figure.subplots_adjust(0.65 / width, 0.5 / height, 1 - 0.1 / width, 1 - 0.1 / height, wspace=0.16)
    for name, curve in sorted(history.losses.items(), key=lambda item: (item[0] != "loss", item[0])):
        if not any(part.startswith(NO_LOSS) for part in name.split("/")):
            whole = name == "loss"
            style = {"color": "black", "zorder": 3} if whole else {}
            axes[0].plot(curve.steps, curve.numbers(), label=name, linewidth=1.6 if whole else 1.0, **style)
    axes[0].set(xlabel="step", ylabel="loss", ylim=(0, None))
    if panels == 2:
        for name, (steps, values) in history.recalls.items():
            axes[1].plot(steps, values, marker="o", markersize=3, label=name, linewidth=1.2)
        axes[1].set(xlabel="step", ylabel="R@1", ylim=(0, None))
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(fontsize=7, frameon=False)
    with replacing(path) as new:
        figure.savefig(new)
