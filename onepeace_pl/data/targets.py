"""From the labels of a row to the target of a task, as an array; what makes no sense is refused by name.

Readers are picklable: loaders' workers run them. Shapes: C classes.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Labels = Mapping[str, Any]


class TargetReader(Protocol):
    """Reads the target of one row."""

    def __call__(self, labels: Labels, /) -> NDArray[Any]:
        """Return the target; all rows give arrays of one shape and type."""


class ClassTarget:
    """``class``, a number or a name -> () int64.

    Args:
        classes: Names in the order of their numbers.
        label: Name of the label.
    """

    def __init__(self, classes: Sequence[str], label: str = "class") -> None:
        if not classes:
            raise ValueError("the data names no classes; set data.init_args.classes to their names or number")
        self.label = label
        self.numbers = ClassNumbers(classes)

    def __call__(self, labels: Labels) -> NDArray[Any]:
        """Return the number of the class."""
        return np.array(self.numbers(_label(labels, self.label), self.label), dtype=np.int64)


class ClassesTarget:
    """``classes``, any number of them -> (C,) float32, 1 where a class is there."""

    def __init__(self, classes: Sequence[str], label: str = "classes") -> None:
        self.label = label
        self.numbers = ClassNumbers(classes)

    def __call__(self, labels: Labels) -> NDArray[Any]:
        """Return a mark for each class."""
        given = _label(labels, self.label)
        if isinstance(given, str):
            given = [part.strip() for part in given.split(",") if part.strip()]
        target = np.zeros(len(self.numbers), dtype=np.float32)
        for value in given:
            target[self.numbers(value, self.label)] = 1.0
        return target


class AnswersTarget:
    """``answers``, answer to confidence -> (C,) float32.

    An answer that is none of the classes is left out, as every vocabulary of frequent answers leaves some out.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.numbers = ClassNumbers(classes)

    def __call__(self, labels: Labels) -> NDArray[Any]:
        """Return the confidence in each answer."""
        target = np.zeros(len(self.numbers), dtype=np.float32)
        for answer, confidence in _label(labels, "answers").items():
            if not 0.0 <= float(confidence) <= 1.0:
                raise ValueError(
                    f"answers: confidence {confidence} of {answer!r} is not between 0 and 1; correct it"
                )
            number = self.numbers.find(answer)
            if number is not None:
                target[number] = confidence
        return target


class ChoiceTarget:
    """``answer``, the number of the right choice, counted from 0 -> () int64."""

    def __call__(self, labels: Labels) -> NDArray[Any]:
        """Return the number of the right choice."""
        answer = _label(labels, "answer")
        choices = labels.get("choices")
        if isinstance(answer, str) and not answer.isdecimal():
            if choices is None or answer not in choices:
                raise ValueError(
                    f"answer {answer!r} is none of the choices {list(choices or [])}; correct one of them"
                )
            answer = list(choices).index(answer)
        if int(answer) < 0 or (choices is not None and int(answer) >= len(choices)):
            raise ValueError(f"answer {answer} is the number of no choice; count the choices from 0")
        return np.array(int(answer), dtype=np.int64)


class TruthTarget:
    """``truth`` -> () int64: 0 where the text holds, 1 where it does not (the original's order)."""

    def __call__(self, labels: Labels) -> NDArray[Any]:
        """Return whether the text holds."""
        truth = _label(labels, "truth")
        if isinstance(truth, str) and truth.lower() in ("true", "false"):
            truth = truth.lower() == "true"
        if truth not in (True, False):
            raise ValueError(f"truth is {truth!r}; write true or false")
        return np.array(0 if truth else 1, dtype=np.int64)


class BoxTarget:
    """``box`` and ``extent`` in pixels -> (4,) float32: x0, y0, x1, y1 as shares of the picture.

    A box may overlap the picture's edge by a pixel, as rounding does, and is cut there.
    """

    def __call__(self, labels: Labels) -> NDArray[Any]:
        """Return the corners."""
        x0, y0, x1, y1 = (float(value) for value in _label(labels, "box"))
        width, height = (float(value) for value in _label(labels, "extent"))
        said = f"box {x0:g}, {y0:g}, {x1:g}, {y1:g}"
        if not (x0 < x1 and y0 < y1):
            raise ValueError(f"{said} is empty or reversed; give x0 < x1 and y0 < y1 in pixels")
        if min(x0, y0) < -1 or x1 > width + 1 or y1 > height + 1:
            raise ValueError(f"{said} leaves the picture of {width:g} x {height:g} pixels; correct it")
        box = np.array([x0 / width, y0 / height, x1 / width, y1 / height], dtype=np.float32)
        return box.clip(0.0, 1.0)


class ClassNumbers:
    """Numbers of classes that are given by name or by number.

    Args:
        classes: Names in the order of their numbers.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._names = {name: number for number, name in enumerate(classes)}
        if len(self._names) < len(classes):
            twice = next(name for name in classes if list(classes).count(name) > 1)
            raise ValueError(f"class {twice!r} is named twice; give every class its own name")

    def __len__(self) -> int:
        return len(self._names)

    def __call__(self, value: Any, label: str = "class") -> int:
        """Return the number of a class.

        Raises:
            ValueError: There is no such class.
        """
        number = self.find(value)
        if number is None:
            near = difflib.get_close_matches(str(value), self._names, n=1, cutoff=0.6)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"there are {len(self)}: {_some(list(self._names))}"
            )
            raise ValueError(f"{label} {value!r} is none of the classes; {hint}")
        return number

    def find(self, value: Any) -> int | None:
        """Return the number of a class, None where there is no such class."""
        if isinstance(value, str):
            if value in self._names:
                return self._names[value]
            if not value.isdecimal():
                return None
        number = int(value)
        return number if 0 <= number < len(self) else None


def _label(labels: Labels, name: str) -> Any:
    value = labels.get(name)
    if value is None:
        raise ValueError(f"no label {name!r}; the row has {', '.join(labels) or 'none'}")
    return value


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
