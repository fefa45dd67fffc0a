"""Target readers: from the labels of a row to the training target of a task. Shapes: C classes.

Readers are picklable, since loader workers run them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
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
from onepeace_pl.data.source import Labels
from onepeace_pl.errors import UserError, nearest

Target: TypeAlias = Any
"""Training target of a row, of the type that the task's reader returns."""

Targets: TypeAlias = Any
"""Training targets of a batch, as the task's reader collates them."""


class TargetReader(ABC):
    """Base class of target readers: from the labels of a row to its training target. Picklable.

    Attributes:
        loaded_labels: Labels that a source may know only when it loads a row, such as the size of its image.
    """

    loaded_labels: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def __call__(self, labels: Labels, /) -> Target:
        """Return the target of a row."""

    def collate(self, targets: Sequence[Target]) -> Targets:
        """Return the targets of a batch: stacked, which needs arrays of one shape and type."""
        return torch.from_numpy(np.stack(targets))


class ClassTarget(TargetReader):
    """Class index: ``class``, an index or a name -> () int64.

    Args:
        classes: Names in the order of their indices.
        label: Name of the label.
    """

    def __init__(self, classes: Sequence[str], label: str = "class") -> None:
        self.label = label
        self.numbers = ClassNumbers(classes)

    def __call__(self, labels: Labels) -> NDArray[np.int64]:
        """Return the class index."""
        return np.array(self.numbers(_label(labels, self.label), self.label), dtype=np.int64)


class ClassesTarget(TargetReader):
    """Multi-hot classes: ``classes``, any number of them -> (C,) float32."""

    def __init__(self, classes: Sequence[str], label: str = "classes") -> None:
        self.label = label
        self.numbers = ClassNumbers(classes)

    def __call__(self, labels: Labels) -> NDArray[np.float32]:
        """Return 1 for each class of the row."""
        target = np.zeros(len(self.numbers), dtype=np.float32)
        for value in several(_label(labels, self.label)):
            target[self.numbers(value, self.label)] = 1.0
        return target


class AnswersTarget(TargetReader):
    """Soft answers: ``answers``, answer to confidence -> (C,) float32.

    An answer that is none of the classes is left out, as every vocabulary of frequent answers leaves some out.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.numbers = ClassNumbers(classes)

    def __call__(self, labels: Labels) -> NDArray[np.float32]:
        """Return the confidence in each answer."""
        target = np.zeros(len(self.numbers), dtype=np.float32)
        answers = _label(labels, "answers")
        check_answers(answers)
        for answer, confidence in answers.items():
            number = self.numbers.find(answer)
            if number is not None:
                target[number] = confidence
        return target


class ChoiceTarget(TargetReader):
    """Right choice: ``answer``, its index from 0 -> () int64."""

    def __call__(self, labels: Labels) -> NDArray[np.int64]:
        """Return the index of the right choice."""
        answer = check_choice(_label(labels, "answer"), labels.get("choices"))
        return np.array(answer, dtype=np.int64)


class TruthTarget(TargetReader):
    """Truth of a statement: ``truth`` -> () int64, 0 where it holds, 1 where not (the original's order)."""

    def __call__(self, labels: Labels) -> NDArray[np.int64]:
        """Return whether the text holds."""
        return np.array(0 if check_truth(_label(labels, "truth")) else 1, dtype=np.int64)


class BoxTarget(TargetReader):
    """Relative box: ``box`` and ``image_size`` in pixels -> (4,) float32, x0, y0, x1, y1 in 0..1.

    A box may overlap the image's edge by a pixel, as rounding does, and is cut there.
    """

    loaded_labels = ("image_size",)

    def __call__(self, labels: Labels) -> NDArray[np.float32]:
        """Return the corners."""
        box, image_size = _label(labels, "box"), _label(labels, "image_size")
        check_box(box, image_size)
        shares = np.array(box, dtype=np.float32) / np.array([*image_size, *image_size], dtype=np.float32)
        return shares.clip(0.0, 1.0)


class FunctionTarget(TargetReader):
    """Target by a function of a row's labels; a Python float becomes float32.

    Args:
        function: Module-level function, so that it can be pickled.
    """

    def __init__(self, function: Callable[[Labels], Target]) -> None:
        self.function = function

    def __call__(self, labels: Labels) -> Target:
        """Return the function's value.

        Raises:
            UserError: The row lacks a label that the function reads.
        """
        try:
            value = self.function(labels)
        except KeyError as error:
            raise UserError(f"no label {error}; the row has {', '.join(labels) or 'none'}") from error
        return np.float32(value) if isinstance(value, float) else value


class ClassNumbers:
    """Lookup of class indices, by name or by index.

    Args:
        classes: Names in the order of their indices.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        if not classes:
            raise UserError("the data names no classes; set data.init_args.classes to their names or number")
        self._names = {name: number for number, name in enumerate(classes)}
        if len(self._names) < len(classes):
            twice = next(name for name in classes if list(classes).count(name) > 1)
            raise UserError(f"class {twice!r} is named twice; give every class its own name")

    def __len__(self) -> int:
        return len(self._names)

    def __call__(self, value: object, label: str = "class") -> int:
        """Return the index of a class.

        Raises:
            UserError: There is no such class.
        """
        number = self.find(value)
        if number is None:
            check_class(value, tuple(self._names), "class" if label == "classes" else label)
            raise UserError(f"{label} {value!r} is no class")
        return number

    def find(self, value: object) -> int | None:
        """Return the index of a class, None where there is no such class."""
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
    """Return the target reader of a label: ``class``, ``classes``, ``answers``, ``answer``, ``truth`` or ``box``.

    Args:
        label: Name of the label.
        classes: Class names in the order of their indices.

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
        raise UserError(f"no label {name!r}; the row has {', '.join(labels) or 'none'}")
    return value
