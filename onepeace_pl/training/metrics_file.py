"""Logger of ``metrics.csv``, which a resumed run continues."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from onepeace_pl.utils.files import replacing

NAME = "metrics.csv"


class MetricsFile(CSVLogger):
    """Lightning's CSV logger, written line by line, that continues an existing file.

    Args:
        folder: Folder of ``metrics.csv``.
        step: Number of updates at the checkpoint that the run resumes from; rows of later updates are removed, since
            they are logged again. None removes none.
        validate: The validation after the last of these updates is repeated.
    """

    def __init__(self, folder: str | Path, step: int | None = None, validate: bool = False) -> None:
        # a name or a version would make a folder of its own
        super().__init__(folder, name="", version="", flush_logs_every_n_steps=1)
        self.step, self.validate = step, validate

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """The writer of the file."""
        if self._experiment is None:
            os.makedirs(self.root_dir, exist_ok=True)
            if self.step is not None:
                _cut(Path(self.log_dir) / NAME, self.step, self.validate)
            self._experiment = _Continued(self.log_dir)
        return cast(ExperimentWriter, self._experiment)


class _Continued(ExperimentWriter):
    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        self.metrics_keys = _read(Path(self.metrics_file_path))[0]

    def _check_log_dir_exists(self) -> None:
        """Lightning's own deletes the file."""

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        path = Path(self.metrics_file_path)
        _write(path, fieldnames, _read(path)[1])


def _cut(path: Path, step: int, validate: bool) -> None:
    if path.exists():
        names, rows = _read(path)
        _write(path, names, [row for row in rows if _stays(row, step, validate)])


def _stays(row: Mapping[str, Any], step: int, validate: bool) -> bool:
    at = row.get("step") or ""
    if not at.isdigit() or int(at) >= step:  # a process that was killed may leave half a line
        return False
    again = any(value and name.startswith("val/") for name, value in row.items())
    return not (validate and again and int(at) == step - 1)


def _read(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    if not path.exists():
        return [], []
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        rows = [{name: value for name, value in row.items() if name is not None} for row in reader]
        return list(reader.fieldnames or ()), rows


def _write(path: Path, names: list[str], rows: Iterable[Mapping[str, Any]]) -> None:
    with replacing(path) as new, new.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
