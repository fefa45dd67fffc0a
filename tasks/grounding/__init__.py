"""Visual grounding: the box of the object that a phrase refers to."""

from onepeace_pl.tasks.grounding.task import Grounding

__all__ = ["Grounding"]
