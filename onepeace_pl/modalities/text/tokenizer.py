"""Byte-level BPE in the id space of the model: ids 0-3 are ``<s>``, ``<pad>``, ``</s>``, ``<unk>``.

One interface, two origins: the released model's GPT-2 pieces re-numbered by a frequency-sorted dictionary
(`Tokenizer.from_gpt2_files`), and a small vocabulary trained on the texts at hand (`Tokenizer.train`).
Shapes: K ids.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.text.cleaning import well_formed
from onepeace_pl.utils.files import write_text

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
START, PAD, END, UNKNOWN = range(len(SPECIALS))
FILE = "tokenizer.json"  # in a model folder
GPT2_FILES = ("dict.txt", "encoder.json", "vocab.bpe")

_BLANK = "\u0120"  # how byte-level pieces write a blank


class Tokenizer:
    """Turns text into ids and back; made by `train`, `from_gpt2_files` or `load`.

    Args:
        vocabulary: Piece to id; must hold the four specials at 0-3 and all ids up to its size.
        merges: Pairs of pieces that are joined, most important first.
    """

    def __init__(self, vocabulary: dict[str, int], merges: Sequence[tuple[str, str]]) -> None:
        if [vocabulary.get(special) for special in SPECIALS] != list(range(len(SPECIALS))):
            raise UserError(f"a vocabulary must give ids 0-3 to {', '.join(SPECIALS)}")
        if sorted(vocabulary.values()) != list(range(len(vocabulary))):
            raise UserError(f"a vocabulary of {len(vocabulary)} pieces must use each id below that once")
        # The specials stay plain pieces: added as special tokens, a literal "<s>" in a text would be read as
        # one.
        self._backend = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
        self._backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self._backend.decoder = decoders.ByteLevel()
        self._begins_word = np.ones(len(vocabulary), dtype=np.bool_)
        for piece, index in vocabulary.items():
            ordinary = index >= len(SPECIALS) and not piece.startswith("madeupword")
            self._begins_word[index] = not ordinary or piece.startswith(_BLANK)

    @property
    def vocabulary_size(self) -> int:
        """Number of ids, specials included: rows of the token embedding."""
        return int(self._backend.get_vocab_size())

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without specials; no blank is put before it."""
        return list(self._backend.encode(well_formed(text), add_special_tokens=False).ids)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids; specials are left out."""
        return str(self._backend.decode([int(i) for i in ids if int(i) >= len(SPECIALS)]))

    def word_starts(self, ids: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Return which ids begin a word, (K,) bool: pieces that start with a blank, and all specials."""
        return self._begins_word[np.asarray(ids, dtype=np.int64)]

    def to_json(self) -> str:
        """Return everything as one JSON text, the same for the same vocabulary."""
        return str(self._backend.to_str())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            UserError: If the text is no byte-level BPE with the specials at 0-3.
        """
        try:
            model = json.loads(text)["model"]
            return cls(dict(model["vocab"]), _pairs(model["merges"]))
        except Exception as error:  # a damaged file can be wrong in any way
            raise UserError(f"not a saved tokenizer ({error}); save one with Tokenizer.save") from error

    def save(self, path: str | Path) -> None:
        """Write one JSON file."""
        write_text(path, self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file that `save` wrote, a model folder with such a file, or a folder with the released ones.

        The released ones are dict.txt, encoder.json and vocab.bpe; a model folder has tokenizer.json.

        Raises:
            UserError: If the path does not exist or holds something else.
        """
        path = Path(path)
        if (path / FILE).is_file():
            path = path / FILE
        if path.is_dir():
            return cls.from_gpt2_files(*(path / name for name in GPT2_FILES))
        try:
            return cls.from_json(_read(path))
        except ValueError as error:
            raise UserError(f"{path}: {error}") from error

    @classmethod
    def from_gpt2_files(cls, dictionary: str | Path, encoder: str | Path, merges: str | Path) -> Self:
        """Build the released tokenizer: GPT-2 pieces, re-numbered in the order of the dictionary.

        Args:
            dictionary: dict.txt, lines ``GPT-2 number, count``, most frequent first; line k gets id 4 + k.
            encoder: encoder.json, piece to GPT-2 number.
            merges: vocab.bpe, a version line and one merge a line.

        Raises:
            UserError: If a file is missing or a piece has no line in the dictionary.
        """
        symbols = [line.rsplit(" ", 1)[0] for line in _read(Path(dictionary)).splitlines() if line.strip()]
        renumbered = {symbol: len(SPECIALS) + k for k, symbol in enumerate(symbols)}
        vocabulary = {special: k for k, special in enumerate(SPECIALS)}
        try:
            pieces = {piece: str(number) for piece, number in json.loads(_read(Path(encoder))).items()}
        except (ValueError, AttributeError) as error:
            raise UserError(f"{encoder}: not GPT-2's encoder.json ({error})") from error
        for piece, number in pieces.items():
            if number not in renumbered:
                raise UserError(
                    f"{dictionary}: no line for GPT-2 number {number} ({piece!r}); take the released dict.txt"
                )
            vocabulary[piece] = renumbered.pop(number)
        vocabulary.update(renumbered)  # symbols that are no pieces: the made-up words
        lines = _read(Path(merges)).split("\n")[1:]
        pairs = [(left, right) for left, _, right in (line.partition(" ") for line in lines) if right]
        return cls(vocabulary, pairs)

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary_size: int = 512) -> Self:
        """Train a vocabulary: the same texts give the same vocabulary on every machine.

        Args:
            texts: Cleaned sentences; a blank is put before each, as the text processor does.
            vocabulary_size: Greatest number of ids, specials and the 256 bytes included. Few texts give
                fewer.

        Raises:
            UserError: If there is no text, or the size leaves no room for specials and bytes.
        """
        smallest = len(SPECIALS) + 256
        if vocabulary_size < smallest:
            raise UserError(
                f"vocabulary_size={vocabulary_size} must be at least {smallest}: 4 specials and 256 bytes"
            )
        counted = _Counted(texts)
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary_size,
            special_tokens=list(SPECIALS),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        backend = tokenizers.Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        with _one_thread():
            backend.train_from_iterator(counted, trainer)
        if not counted.count:
            raise UserError(
                "a tokenizer cannot be trained on no text: give texts, or a path to a saved tokenizer"
            )
        model = json.loads(backend.to_str())["model"]
        # Texts full of a literal "<s>" must not grow a merge that ends at the special's id.
        merges = [(a, b) for a, b in _pairs(model["merges"]) if not {a, b, a + b} & set(SPECIALS)]
        return cls(model["vocab"], merges)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __getstate__(self) -> dict[str, Any]:
        return {"json": self.to_json()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(type(self).from_json(state["json"]).__dict__)


@runtime_checkable
class HasTokenizer(Protocol):
    """A processor with a tokenizer.

    Attributes:
        tokenizer: None until one is set.
    """

    tokenizer: Tokenizer | None


class _Counted:
    """Texts with the leading blank, counted while they pass."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = texts
        self.count = 0

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            self.count += 1
            yield " " + well_formed(text)


def _pairs(merges: Iterable[str | Sequence[str]]) -> list[tuple[str, str]]:
    """Read merges as written by any release of the library: "a b" or ["a", "b"]."""
    parts = (merge.split(" ") if isinstance(merge, str) else merge for merge in merges)
    return [(left, right) for left, right in parts]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep the library's thread pool unused: once used, it warns in every forked loader worker."""
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror or error}; check the path of the tokenizer's file"
        ) from error
