"""Training, validation and test parts of data, found by the names of files and folders."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from onepeace_pl.data.sources import PartSource
from onepeace_pl.errors import UserError
from onepeace_pl.finetuning.guesses import Guesses
from onepeace_pl.finetuning.specs import spec
from onepeace_pl.utils.json_files import JsonObject

NAMES: Final = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Word in a name to the part that it names."""

SHARE: Final = 0.2  # of validation where data have no such part


@dataclass(frozen=True)
class Parts:
    """Files or folders of the parts of data.

    Attributes:
        train: Training data, or all data.
        validation: Validation data; None where a share of ``train`` serves for it.
        test: Test data; None where there are none, or where they serve for validation.
        share: That share.
        reason: How they were found.
    """

    train: Path
    validation: Path | None = None
    test: Path | None = None
    share: float = SHARE
    reason: str = "no train and val parts"


def part_of(name: str) -> str | None:
    """Return the part that a file or folder is named after: ``train``, ``validation``, ``test`` or None."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((NAMES[word] for word in words if word in NAMES), None)


def find_parts(data: Path, val: str | None, endings: Sequence[str]) -> Parts:
    """Return the parts of data.

    Folders are parts where all of a folder are named after one; else files are.

    Args:
        data: A file, or a folder.
        val: Validation data, or their share of the rows; None to find them.
        endings: Endings of files that hold data.

    Raises:
        UserError: There is no such file or folder, it is empty, or several files may be meant.
    """
    if not data.exists():
        raise UserError(f"--data {data}: no such file or folder")
    share, path = _share(val)
    found = _named(data, endings) if data.is_dir() else {}
    train = found.get("train") or _only_file(data, endings)
    if path is not None:
        if not path.exists():
            raise UserError(f"--val {path}: neither a file or folder nor a share such as 0.2")
        return Parts(train, _only_file(path, endings), found.get("test"), share, "--val")
    if val is not None or len(found) < 2:
        return Parts(train, share=share, reason="--val" if val else "no train and val parts")
    names = ", ".join(sorted(each.name for each in found.values()))
    if "validation" not in found:
        return Parts(train, found["test"], None, share, f"{names} in {data}")
    return Parts(train, found["validation"], found.get("test"), share, f"{names} in {data}")


@dataclass(frozen=True)
class Rows:
    """Class and options of the source of each part.

    Attributes:
        train: Training rows.
        validation: Validation rows.
        test: Test rows; None without.
    """

    train: JsonObject
    validation: JsonObject
    test: JsonObject | None


def rows_of(
    parts: Parts, make: Callable[[Path], JsonObject], guesses: Guesses, stratify: str | None = None
) -> Rows:
    """Return the sources of parts; without validation data, folds of the training data by id.

    Args:
        parts: The parts.
        make: Makes class and options of the source of a file or folder.
        guesses: Takes in the split.
        stratify: Label of equal shares in both folds.
    """
    test = None if parts.test is None else make(parts.test)
    if parts.validation is not None:
        guesses.add("split", f"{parts.validation} for validation", parts.reason, "--val")
        return Rows(make(parts.train), make(parts.validation), test)
    folds = max(2, round(1 / parts.share))
    source = make(parts.train)
    train, validation = (
        spec(PartSource, source=source, folds=folds, take=take, stratify=stratify)
        for take in (list(range(folds - 1)), [folds - 1])
    )
    each = f" of each {stratify}" if stratify else ""
    guesses.add("split", f"1 in {folds}{each} for validation", parts.reason, "--val")
    return Rows(train, validation, test)


def split_share(val: str | None) -> float | None:
    """Return the share of the rows for validation where one is given; data that name their parts take no others.

    Raises:
        UserError: Other validation data are given, or the share is out of range.
    """
    if val is None:
        return None
    share, path = _share(val)
    if path is not None:
        raise UserError(f"--val {val}: these data name their own parts; give a share such as 0.2, or nothing")
    return share


def _share(val: str | None) -> tuple[float, Path | None]:
    if val is None:
        return SHARE, None
    try:
        share = float(val)
    except ValueError:
        return SHARE, Path(val)
    if not 0 < share <= 0.5:
        raise UserError(f"--val {val}: the share of validation must be above 0 and at most 0.5")
    return share, None


def _named(data: Path, endings: Sequence[str]) -> dict[str, Path]:
    """Return part -> file or folder."""
    entries = sorted(each for each in data.iterdir() if not each.name.startswith("."))
    files = [each for each in entries if each.is_file() and each.suffix.lower() in endings]
    folders = [each for each in entries if each.is_dir()]
    for group in (files, folders):
        parts = [part_of(each.stem if each.is_file() else each.name) for each in group]
        named = {part: each for part, each in zip(parts, group, strict=True) if part is not None}
        if (
            "train" in named
            and len(named) == len([part for part in parts if part])
            and (group is files or None not in parts)
        ):
            return {part: _only_file(each, endings) for part, each in named.items()}
    return {}


def _only_file(path: Path, endings: Sequence[str]) -> Path:
    """Return the only data file of a folder, or else the folder itself."""
    if not path.is_dir():
        return path
    files = sorted(
        each
        for each in path.iterdir()
        if each.is_file() and each.suffix.lower() in endings and not each.name.startswith(".")
    )
    if len(files) > 1:
        names = ", ".join(each.name for each in files)
        raise UserError(f"{path} holds {names}; give one of them, and another with --val")
    return files[0] if files else path
