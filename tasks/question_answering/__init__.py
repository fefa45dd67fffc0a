"""Question answering over images, audio, or both at once."""

from onepeace_pl.tasks.question_answering.choices import MultipleChoice
from onepeace_pl.tasks.question_answering.vocabulary import OpenAnswer

__all__ = ["MultipleChoice", "OpenAnswer"]
