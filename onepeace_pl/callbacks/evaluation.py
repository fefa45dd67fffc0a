"""Evaluation without a Trainer: a table for the terminal, ``report.md``, ``gallery.png`` and ``results.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from onepeace_pl.backbone.fusion import MeasuredFuse
from onepeace_pl.callbacks.page import info_table, vector_label
from onepeace_pl.callbacks.results_file import references, retrieval_content
from onepeace_pl.callbacks.retrieval_page import retrieval_parts
from onepeace_pl.callbacks.run_info import device_name, duration, peak_memory, program_info
from onepeace_pl.data.loading.skips import SkipLog
from onepeace_pl.data.source import Source
from onepeace_pl.metrics import DirectionResult, RetrievalResult
from onepeace_pl.metrics.bootstrap import Interval
from onepeace_pl.metrics.result import JOINT, NDCG_AT
from onepeace_pl.training.retrieval import retrieval_metrics
from onepeace_pl.utils.files import write_text


@dataclass
class Evaluation:
    """Results of a model folder on sets of rows.

    Attributes:
        model: The model folder.
        data: Names of the data, as they were given.
        device: Device of the model.
        fuse: The one measured vector of several modalities; None where all are compared.
        skips: Rows that were left out.
        seconds: Wall-clock time.
    """

    model: str
    data: Sequence[str]
    device: torch.device
    fuse: MeasuredFuse | None
    skips: SkipLog
    seconds: float = 0.0
    _sets: dict[str, dict[str, RetrievalResult]] = field(default_factory=dict)
    _rows: dict[str, Source] = field(default_factory=dict)
    _lines: list[str] = field(default_factory=list)

    def add(
        self, name: str, rows: Source, fields: Sequence[str], results: Mapping[str, RetrievalResult]
    ) -> None:
        """Add the results of a set.

        Args:
            name: Name of the set.
            rows: Its rows.
            fields: Fields that were read of them.
            results: Results by gallery.
        """
        self._sets[name] = dict(results)
        self._rows |= dict.fromkeys(results, rows)
        ids = rows.ids()
        distinct = "" if ids is None else f" of {len(set(ids)):,} ids"
        self._lines.append(f"{name}: {len(rows):,} rows{distinct} with {', '.join(fields)}")

    @property
    def results(self) -> dict[str, RetrievalResult]:
        """Results by gallery."""
        return {name: result for each in self._sets.values() for name, result in each.items()}

    def text(self) -> str:
        """Return the table for a terminal, below the rows that were read."""
        lines = list(self._lines)
        if self.skips.count:
            where = f", listed in {self.skips.path}" if self.skips.path else ""
            lines.append(f"skipped: {self.skips.count:,} rows that could not be prepared{where}")
        if any(result.partial for result in self.results.values()):
            lines.append("only a part of the rows was evaluated: these numbers are not comparable")
        head = ["direction", "R@1", "95 % interval", "R@5", "R@10", "median rank", f"nDCG@{NDCG_AT}"]
        table = [[*head, "chance R@1", "queries", "candidates"]]
        for name, results in self._sets.items():
            start = f"{name}: " if len(self._sets) > 1 else ""
            for result in results.values():
                for direction in result.directions.values():
                    table += [[f"{start}{row[0]}", *row[1:]] for row in self._table_rows(direction)]
        return "\n".join([*lines, "", *_aligned(table)])

    def _table_rows(self, direction: DirectionResult) -> list[list[str]]:
        """Return a row for each vector of the query: the parts and the sum before the joint pass."""
        shared = [
            f"{direction.chance[1]:.3f}",
            f"{len(direction.queries):,}",
            f"{len(direction.candidates):,}",
        ]
        own = {k: direction.interval(k) for k in direction.recall}
        several = len(direction.query) > 1 or len(direction.target) > 1
        default = direction.composed.default if direction.composed is not None else self.fuse or JOINT
        label = f" ({vector_label(default)})" if several else ""
        rows = [
            [
                f"{direction.name} ({vector_label(vector)})",
                *_numbers(by.recall, by.median_rank, by.ndcg),
                *shared,
            ]
            for vector, by in direction.others().items()
        ]
        mine = _numbers(own, direction.median_rank, direction.ndcg)
        return [*rows, [f"{direction.name}{label}", *mine, *shared]]

    def write(self, folder: Path) -> list[Path]:
        """Write the files, and return their paths.

        Names in ``results.json`` are those of a run (:class:`~onepeace_pl.callbacks.results_file.ResultsFile`) without
        ``val/`` or ``test/``.

        Args:
            folder: Created if missing; files of these names are replaced.
        """
        report, values, gallery = (folder / name for name in ("report.md", "results.json", "gallery.png"))
        folder.mkdir(parents=True, exist_ok=True)
        gallery.unlink(missing_ok=True)
        info = {
            **program_info(),
            "hardware": device_name(self.device),
            "model": self.model,
            "rows": "; ".join(self._lines),
            **({"fuse": self.fuse} if self.fuse else {}),
            **({"skipped rows": f"{self.skips.count:,}, listed in skipped.tsv"} if self.skips.count else {}),
            "time": duration(self.seconds),
            "peak memory": peak_memory(),
        }
        parts = [f"# Retrieval by {self.model}\n", info_table(info)]
        write_text(report, "\n".join([*parts, *retrieval_parts(self.results, self._rows, gallery)]))
        metrics = retrieval_metrics(list(self.results.values()))
        content = {
            "verb": "evaluate",
            "model": self.model,
            "data": list(self.data),
            "fuse": self.fuse,
            "metrics": metrics,
            "references": references(self.results, "", metrics),
            **retrieval_content(self.results, ""),
            "skipped": self.skips.count,
            "partial": any(result.partial for result in self.results.values()),
            "seconds": round(self.seconds, 3),
        }
        write_text(values, json.dumps(content, indent=2) + "\n")
        return [path for path in (report, values, gallery) if path.is_file()]


def _numbers(recall: Mapping[int, Interval], median_rank: float, ndcg: float) -> list[str]:
    first, *others = (recall[k] for k in sorted(recall))
    return [
        f"{first.value:.3f}",
        f"[{first.low:.3f}, {first.high:.3f}]",
        *(f"{each.value:.3f}" for each in others),
        f"{median_rank:g}",
        f"{ndcg:.3f}",
    ]


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Return lines with the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])],
        )
        for row in table
    ]
