"""Dataset metadata that is saved with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NotRequired, Self, TypedDict

from onepeace_pl.errors import UserError


class DataInfoConfig(TypedDict):
    """A :class:`DataInfo` in JSON."""

    modalities: list[str]
    vocabulary_size: int | None
    classes: list[str]
    tasks: NotRequired[dict[str, DataInfoConfig]]


@dataclass(frozen=True)
class DataInfo:
    """Dataset metadata that tasks need: modalities, vocabulary size, class names. Saved with the model as JSON.

    Attributes:
        modalities: Modalities that are prepared.
        vocabulary_size: Rows of the token embedding; None where there is no text.
        classes: Class names in the order of their indices; empty where there are none.
        tasks: Task to the metadata of its dataset, in multi-task training.
    """

    modalities: tuple[str, ...] = ()
    vocabulary_size: int | None = None
    classes: tuple[str, ...] = ()
    tasks: Mapping[str, DataInfo] = field(default_factory=dict)

    def to_config(self) -> DataInfoConfig:
        """Return a JSON-serialisable dict."""
        return {
            "modalities": list(self.modalities),
            "vocabulary_size": self.vocabulary_size,
            "classes": list(self.classes),
            "tasks": {name: data_info.to_config() for name, data_info in self.tasks.items()},
        }

    @classmethod
    def from_config(cls, values: DataInfoConfig) -> Self:
        """Load the output of `to_config`."""
        return cls(
            modalities=tuple(values["modalities"]),
            vocabulary_size=values["vocabulary_size"],
            classes=tuple(values["classes"]),
            tasks={name: cls.from_config(data_info) for name, data_info in values.get("tasks", {}).items()},
        )

    def check_learnt(self, stored: Mapping[str, object]) -> None:
        """Check that a model was trained on data with the same vocabulary and classes.

        Args:
            stored: Metadata in the checkpoint; missing entries are not checked.

        Raises:
            UserError: They differ; names both values and the remedy.
        """
        # modalities may differ: fewer can be measured
        size, classes = stored.get("vocabulary_size", self.vocabulary_size), stored.get("classes")
        if size != self.vocabulary_size:
            both = f"vocabulary_size = {size}, the data has {self.vocabulary_size}"
            raise UserError(f"the checkpoint was trained with {both}; use the data that it was trained on")
        if isinstance(classes, list | tuple) and tuple(classes) != self.classes:
            both = f"other classes: {class_difference(classes, self.classes)}"
            raise UserError(f"the checkpoint was trained with {both}; use the data that it was trained on")
        tasks = stored.get("tasks")
        for task, data_info in self.tasks.items():
            learnt = tasks.get(task) if isinstance(tasks, Mapping) else None
            try:
                data_info.check_learnt(learnt or {})
            except ValueError as error:
                raise UserError(f"task {task!r}: {error}") from None


def class_difference(learnt: Sequence[str], now: Sequence[str]) -> str:
    """Describe the first difference between two lists of classes; empty where they are equal.

    Args:
        learnt: Classes of the model.
        now: Classes of the data.
    """
    learnt, now = list(learnt), list(now)
    number = next((n for n, (a, b) in enumerate(zip(learnt, now, strict=False)) if a != b), None)
    if number is None:
        return "" if len(learnt) == len(now) else f"{len(learnt)} there, {len(now)} here"
    order = ", the same ones in another order" if sorted(learnt) == sorted(now) else ""
    counts = f"{len(learnt)} there, {len(now)} here" if len(learnt) != len(now) else f"{len(now)} each"
    return f"number {number} is {learnt[number]!r} there and {now[number]!r} here ({counts}{order})"
