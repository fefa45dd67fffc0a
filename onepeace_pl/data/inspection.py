"""Dataset report: row and class counts, invalid labels, missing files, unreadable media."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onepeace_pl.data.labels.checking import bad_labels, several
from onepeace_pl.data.labels.masks import MaskTarget
from onepeace_pl.data.labels.transforms import JointTransform
from onepeace_pl.data.source import PublishedSize, Source, values_of
from onepeace_pl.data.sources.existence import ExistingFiles, paths_of
from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import Processor

SHOWN = 5
"""Invalid rows that are printed in full."""


@dataclass
class InspectionReport:
    """Report on one source.

    Attributes:
        rows: Number of rows.
        ids: Number of different ids; None where that is not known.
        classes: Name of a class (of an answer) -> rows that have it, in the order of their indices.
        names: Number of classes that the source names.
        files: Number of different media files that rows need; None where that is not known.
        missing: Missing media files.
        opened: Number of rows whose media were opened.
        wrong: Error messages, one a row.
        notes: Remarks that need not be errors.
    """

    rows: int
    ids: int | None = None
    classes: dict[str, int] = field(default_factory=dict)
    names: int = 0
    files: int | None = None
    missing: list[str] = field(default_factory=list)
    opened: int = 0
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Whether there are neither missing files nor errors."""
        return not (self.missing or self.wrong)


def inspect(
    source: Source,
    classes: Sequence[str] = (),
    processors: Mapping[str, Processor] | None = None,
    media: int | None = 100,
) -> InspectionReport:
    """Check all labels and files of a source, and open the media of some rows.

    Args:
        source: The rows.
        classes: Names of the classes in the order of their indices; empty takes the source's own.
        processors: Modality to processor: what can be opened. Text needs none.
        media: Rows to open, spread evenly; None opens all.
    """
    own = tuple(source.classes)
    names = tuple(classes) or own
    report = InspectionReport(len(source), names=len(names))
    if classes and own and tuple(classes) != own:
        report.wrong.append(
            f"classes: its {len(own)} are not the {len(classes)} that the model learns, in their order; "
            "give both the same list or file"
        )
    ids = source.ids()
    report.ids = None if ids is None else len(set(ids))
    report.wrong += (f"row {index}: {reason}" for index, reason in bad_labels(source, names))
    report.classes = _count(source, names, report)
    _compare(report, source.published)
    _find_files(report, source)
    _open(report, source, names, processors or {}, media)
    return report


def _count(source: Source, names: Sequence[str], report: InspectionReport) -> dict[str, int]:
    """Return the number of rows of each class; rows with invalid labels are not counted."""
    counts: Counter[str] = Counter()
    known, beyond = frozenset(names), 0
    for labels in _yielded(iter(source.labels() or ())):
        found = [labels["class"]] if "class" in labels else []
        found += several(labels["classes"]) if "classes" in labels else []
        if isinstance(labels.get("answers"), Mapping):
            right = [
                answer
                for answer in labels["answers"]
                if not (known and isinstance(answer, str)) or answer in known
            ]
            beyond += not right
            found += right
        found += [str(labels["truth"])] if "truth" in labels else []
        found += [f"choice {labels['answer']}"] if "answer" in labels else []
        for value in found:
            numbered = isinstance(value, int) and 0 <= value < len(names)
            counts[names[value] if numbered else str(value)] += 1
    if beyond:
        report.notes.append(f"{beyond:,} rows have no answer that the vocabulary has: none can be right")
    return {name: counts.pop(name, 0) for name in names} | dict(sorted(counts.items()))


def _yielded(iterator: Iterator[Any]) -> Iterator[Any]:
    """Yield items, without those that raise."""
    while True:
        try:
            yield next(iterator)
        except StopIteration:
            return
        except ValueError:
            continue


def _compare(report: InspectionReport, published: PublishedSize | None) -> None:
    if published is None:
        return
    for what, found, expected in (
        ("rows", report.rows, published.rows),
        ("ids", report.ids, published.ids),
        ("classes", report.names, (published.classes,) if published.classes else ()),
    ):
        if expected and found not in expected:
            said = " or ".join(f"{number:,}" for number in expected)
            report.notes.append(f"{found:,} {what}, published are {said}: another version, or a part")


def _find_files(report: InspectionReport, source: Source) -> None:
    if source.files(0) is None and not paths_of(source[0].fields):
        return  # media that are generated, or stored in the table
    there, seen = ExistingFiles(), dict[str, bool]()
    for index in range(len(source)):
        try:
            files = source.files(index)
            files = paths_of(source[index].fields) if files is None else files
        except ValueError as error:
            report.wrong.append(f"row {index}: {error}")
            continue
        for file in files:
            if file not in seen:
                seen[file] = file in there
    report.files = len(seen)
    report.missing = [file for file, is_there in seen.items() if not is_there]


def _open(
    report: InspectionReport,
    source: Source,
    classes: Sequence[str],
    processors: Mapping[str, Processor],
    media: int | None,
) -> None:
    count = len(source) if media is None else min(media, len(source))
    gone = frozenset(report.missing)
    rng = np.random.default_rng(0)
    for index in np.unique(np.linspace(0, len(source) - 1, count).round().astype(int)).tolist():
        place = f"row {index}"
        try:
            if any(file in gone for file in source.files(index) or ()):
                continue  # reported already
            row = source[index]
            place = f"row {index} (id {row.id})"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of truncated audio and text
                for name, raw in row.fields.items():
                    for value in values_of(raw):
                        if isinstance(value, str) and not value.strip():
                            raise UserError(f"empty {name}; give it words or leave the row out")
                        if name in processors:
                            processors[name](value, train=False, rng=rng)
                if row.labels.keys() & {"mask", "objects"}:  # beside their image
                    labels = JointTransform()(row, train=False, rng=rng).labels
                    if "mask" in labels:
                        MaskTarget(classes)(labels)
        except (ValueError, TypeError, OSError) as error:
            report.wrong.append(f"{place}: {' '.join(str(error).split())}")
        report.opened += 1
