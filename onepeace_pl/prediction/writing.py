"""Files of results: CSV, JSON lines, JSON."""

from __future__ import annotations

import csv
import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final, TextIO

from onepeace_pl.data.evaluation.sets import EvaluationSet
from onepeace_pl.data.source import RowList
from onepeace_pl.errors import UserError
from onepeace_pl.results import Result
from onepeace_pl.training.task import Task
from onepeace_pl.utils.json_files import JsonObject

FORMATS: Final = (".csv", ".jsonl", ".json")


class ResultWriter(ABC):
    """Writes results to an open file, one after the other.

    Args:
        file: The file.
    """

    def __init__(self, file: TextIO) -> None:
        self.file = file

    @abstractmethod
    def add(self, result: Result) -> None:
        """Write a result."""

    def finish(self) -> None:
        """Write what comes after the last result."""
        return


class JsonLines(ResultWriter):
    """JSON lines: a result a line."""

    def add(self, result: Result) -> None:
        """Write a line."""
        self.file.write(json.dumps(result.to_dict(), ensure_ascii=False) + "\n")


class Csv(ResultWriter):
    """CSV with a header: the columns of the first row; a detection a row, otherwise a result a row."""

    def __init__(self, file: TextIO) -> None:
        super().__init__(file)
        self._writer: csv.DictWriter[str] | None = None

    def add(self, result: Result) -> None:
        """Write the rows of a result."""
        for row in result.to_rows():
            if self._writer is None:
                self._writer = csv.DictWriter(self.file, list(row))
                self._writer.writeheader()
            self._writer.writerow(row)


class Json(ResultWriter):
    """JSON: a list of results; of a detector the results format of COCO.

    Args:
        file: The file.
        task: The task.
    """

    def __init__(self, file: TextIO, task: Task) -> None:
        super().__init__(file)
        self.task = task
        self._results: list[JsonObject] = []

    def add(self, result: Result) -> None:
        """Keep a result."""
        self._results.append(result.to_dict())

    def finish(self) -> None:
        """Write all results."""
        files = self.task.export(EvaluationSet(name="files", rows=RowList((), ())), self._results)
        self.file.write(files.get("coco.json") or json.dumps(self._results, ensure_ascii=False))


def make_writer(path: Path, file: TextIO, task: Task) -> ResultWriter:
    """Return the writer for a file's ending.

    Raises:
        UserError: There is none.
    """
    check_format(path)
    ending = path.suffix.lower()
    if ending == ".json":
        return Json(file, task)
    return Csv(file) if ending == ".csv" else JsonLines(file)


def check_format(path: Path) -> None:
    """Reject a file whose ending is no format of results."""
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path}: the ending must be {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
