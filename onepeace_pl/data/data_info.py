"""What only the data knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

_LEARNT = ("vocabulary_size", "classes")  # modalities may differ: fewer can be measured


@dataclass(frozen=True)
class DataInfo:
    """Facts about the data that a task or an adapter needs; plain values, saved with the model as JSON.

    Attributes:
        modalities: Modalities that are prepared.
        vocabulary_size: Rows of the token embedding; None where there is no text.
        classes: Names of classes in the order of their numbers; empty where there are none.
        tasks: Facts about the data of each task, where several are trained together.
    """

    modalities: tuple[str, ...] = ()
    vocabulary_size: int | None = None
    classes: tuple[str, ...] = ()
    tasks: Mapping[str, DataInfo] = field(default_factory=dict)

    def to_config(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return _plain(asdict(self))  # type: ignore[no-any-return]

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_config` has returned."""
        return cls(
            modalities=tuple(values["modalities"]),
            vocabulary_size=values["vocabulary_size"],
            classes=tuple(values["classes"]),
            tasks={name: cls.from_config(data_info) for name, data_info in values.get("tasks", {}).items()},
        )

    def check_learnt(self, stored: Mapping[str, Any]) -> None:
        """Refuse what a checkpoint says of the data that it was trained on, where it is not true of these.

        Args:
            stored: Facts as a mapping; what it does not say is not checked.

        Raises:
            ValueError: Names the fact, its two values and the remedy.
        """
        now = asdict(self)
        for name in _LEARNT:
            if name in stored and _plain(stored[name]) != _plain(now[name]):
                both = f"trained with {name} = {stored[name]}, the data says {now[name]}"
                if name == "classes":
                    both = f"trained with other classes: {class_difference(stored[name], now[name])}"
                raise ValueError(f"the checkpoint was {both}; use the data that it was trained on")
        for task, data_info in self.tasks.items():
            try:
                data_info.check_learnt(stored.get("tasks", {}).get(task, {}))
            except ValueError as error:
                raise ValueError(f"task {task!r}: {error}") from None


def class_difference(learnt: Sequence[str], now: Sequence[str]) -> str:
    """Say in what two lists of classes differ first; empty where they are the same.

    Args:
        learnt: What a model has learnt.
        now: What the data have.
    """
    learnt, now = list(learnt), list(now)
    number = next((n for n, (a, b) in enumerate(zip(learnt, now, strict=False)) if a != b), None)
    if number is None:
        return "" if len(learnt) == len(now) else f"{len(learnt)} there, {len(now)} here"
    order = ", the same ones in another order" if sorted(learnt) == sorted(now) else ""
    counts = f"{len(learnt)} there, {len(now)} here" if len(learnt) != len(now) else f"{len(now)} each"
    return f"number {number} is {learnt[number]!r} there and {now[number]!r} here ({counts}{order})"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value
