"""Multiple-choice prompts: the question with each of its choices."""

from __future__ import annotations

from collections.abc import Sequence

TEMPLATE = "{question} answer: {choice}"  # docs/reference/tasks.md, section 8


def choice_texts(question: str, choices: Sequence[str], template: str = TEMPLATE) -> tuple[str, ...]:
    """Return one text for each choice."""
    return tuple(template.format(question=question, choice=choice) for choice in choices)
