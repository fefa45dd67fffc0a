"""From the labels of a row to the target of a task, as an array; what makes no sense is refused by name.

Readers are picklable: loaders' workers run them. Shapes: C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from onepeace_pl.data.labels.checking import (
    check_answers,
    check_box,
    check_choice,
    check_class,
    check_truth,
    several,
    whole,
)
from onepeace_pl.errors import UserError, nearest

Labels = Mapping[str, Any]


class TargetReader(Protocol):
    """Reads the target of one row.

    May have besides: ``collate(targets)``, which makes a batch's of rows' targets that are not of one shape and type;
    ``late``, labels that a source may know only when it makes a row.
    """

    def __call__(self, labels: Labels, /) -> Any:
        """Return the target; all rows give arrays of one shape and type where there is no ``collate``."""


class ClassTarget:
    """``class``, a number or a name -> () int64.

    Args:
        classes: Names in the order of their numbers.
        label: Name of the label.
    """

    def __init__(self, classes: Sequence[str], label: str = "class") -> None:
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
        given = several(_label(labels, self.label))
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
        answers = _label(labels, "answers")
        check_answers(answers)
        for answer, confidence in answers.items():
            number = self.numbers.find(answer)
            if number is not None:
                target[number] = confidence
        return target


class ChoiceTarget:
    """``answer``, the number of the right choice, counted from 0 -> () int64."""

    def __call__(self, labels: Labels) -> NDArray[Any]:
        """Return the number of the right choice."""
        answer = check_choice(_label(labels, "answer"), labels.get("choices"))
        return np.array(answer, dtype=np.int64)


class TruthTarget:
    """``truth`` -> () int64: 0 where the text holds, 1 where it does not (the original's order)."""

    def __call__(self, labels: Labels) -> NDArray[Any]:
        """Return whether the text holds."""
        return np.array(0 if check_truth(_label(labels, "truth")) else 1, dtype=np.int64)


class BoxTarget:
    """``box`` and ``extent`` in pixels -> (4,) float32: x0, y0, x1, y1 as shares of the picture.

    A box may overlap the picture's edge by a pixel, as rounding does, and is cut there.

    Attributes:
        late: Labels that a source may know only when it makes a row, and opens the picture.
    """

    late = ("extent",)

    def __call__(self, labels: Labels) -> NDArray[Any]:
        """Return the corners."""
        box, extent = _label(labels, "box"), _label(labels, "extent")
        check_box(box, extent)
        shares = np.array(box, dtype=np.float32) / np.array([*extent, *extent], dtype=np.float32)
        return shares.clip(0.0, 1.0)


class ClassNumbers:
    """Numbers of classes that are given by name or by number.

    Args:
        classes: Names in the order of their numbers.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        if not classes:
            raise ValueError("the data names no classes; set data.init_args.classes to their names or number")
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
            check_class(value, tuple(self._names), "class" if label == "classes" else label)
            raise ValueError(f"{label} {value!r} is no class")
        return number

    def find(self, value: Any) -> int | None:
        """Return the number of a class, None where there is no such class."""
        if isinstance(value, str):
            if value in self._names:
                return self._names[value]
            value = whole(value)
            if value is None:
                return None
        elif isinstance(value, bool) or not isinstance(value, int | np.integer):
            return None
        number = int(value)
        return number if 0 <= number < len(self) else None


def target_reader(label: str, classes: Sequence[str] = ()) -> TargetReader:
    """Return the reader of a label: ``class``, ``classes``, ``answers``, ``answer``, ``truth`` or ``box``.

    Args:
        label: Name of the label.
        classes: Names of the classes, in the order of their numbers.

    Raises:
        UserError: No reader of that label is known.
    """
    readers: dict[str, Callable[[], TargetReader]] = {
        "class": lambda: ClassTarget(classes),
        "classes": lambda: ClassesTarget(classes),
        "answers": lambda: AnswersTarget(classes),
        "answer": ChoiceTarget,
        "truth": TruthTarget,
        "box": BoxTarget,
    }
    if label not in readers:
        raise UserError(f"no target reader for label {label!r}; {nearest(label, readers)}")
    return readers[label]()


def _label(labels: Labels, name: str) -> Any:
    value = labels.get(name)
    if value is None:
        raise ValueError(f"no label {name!r}; the row has {', '.join(labels) or 'none'}")
    return value
