"""VQA accuracy: human answers as confidences (Antol et al. 2015, Goyal et al. 2017).

An answer is fully right where three of the other nine people gave it: averaged over the ten ways to leave one
person out, one of ten is worth 0.3, two 0.6, three 0.9, four or more 1.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

_NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_WORDS = {word: str(number) for number, word in enumerate(_NUMBERS)} | {"none": "0"}
_ARTICLES = {"a", "an", "the"}
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[,](?=\d)")
_PUNCTUATION = re.compile(r"[;/\[\]\"{}()=+\\_<>@`?!,]|(?<!\d)\.|\.(?!\d)")


@functools.lru_cache(maxsize=1 << 16)  # four million answers, few of them different
def normalised(answer: str) -> str:
    """Return an answer in lower case, without articles and punctuation, small numbers as digits."""
    text = _BETWEEN_DIGITS.sub("", answer.lower())
    text = _PUNCTUATION.sub(" ", text)
    words = [_WORDS.get(word, word) for word in text.split() if word not in _ARTICLES]
    return " ".join(words) or answer.lower().strip()  # a letter can be the answer


def confidences(answers: Sequence[str]) -> dict[str, float]:
    """Return answer -> confidence for the (usually ten) answers of people."""
    people = len(answers)
    scores = {}
    for answer, count in Counter(map(normalised, answers)).items():
        # of the ways to leave one person out, `count` take one of the answer's own away
        kept, fewer = min(1.0, count / 3), min(1.0, (count - 1) / 3)
        scores[answer] = round(((people - count) * kept + count * fewer) / people, 6)
    return scores


def vocabulary(answers: Iterable[str], min_count: int) -> tuple[str, ...]:
    """Return the answers that occur at least ``min_count`` times, most frequent first, then in alphabetical order."""
    counts: Mapping[str, int] = Counter(map(normalised, answers))
    kept = [answer for answer, count in counts.items() if count >= min_count and answer]
    return tuple(sorted(kept, key=lambda answer: (-counts[answer], answer)))
