"""Questions about a picture, a sound, or both at once."""

from tasks.question_answering.choices import MultipleChoice
from tasks.question_answering.vocabulary import OpenAnswer

__all__ = ["MultipleChoice", "OpenAnswer"]
