"""Masks of students: a function of (seed, epoch, sample) alone, and what joint students complement."""

import pickle
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from onepeace_pl.data.batches import Batch
from onepeace_pl.modalities import ModalityInput
from onepeace_pl.modalities.masking import RandomTokens, Spans, WholeWords
from onepeace_pl.tasks.pretraining import MaskSampler, Student

from ...samples import padding_of

TEXT = (9, 4, 6, 2, 12, 7)  # with the end token
AUDIO = (40, 25, 30, 40, 33, 28)
STUDENTS = {
    "text": Student({"text": WholeWords(0.3)}, {"text": 1.0}, "own"),
    "image": Student({"image": RandomTokens(0.75)}, {"image": 1.0}, "own"),
    "audio": Student({"audio": Spans(0.55)}, {"audio": 1.0}),
    "both": Student(
        {"text": RandomTokens(0.4), "image": RandomTokens(0.6875)}, {"text": 0.5, "image": 0.5}, apart=True
    ),
}


def batch(rows: list[int], epoch: int = 3) -> Batch:
    """Samples by their number in the source."""
    text, audio = [TEXT[r] for r in rows], [AUDIO[r] for r in rows]
    starts = []
    for row in rows:
        flags = torch.rand(TEXT[row], generator=torch.Generator().manual_seed(row)) < 0.6
        flags[-1] = True
        starts.append(flags)
    inputs = {
        "text": ModalityInput(torch.full((len(rows), max(text)), 5), padding_of(text)),
        "image": ModalityInput(torch.zeros(len(rows), 3, 64, 64)),
        "audio": ModalityInput(torch.zeros(len(rows), 9), padding_of(audio)),
    }
    lengths = {
        "text": torch.tensor(text),
        "image": torch.full((len(rows),), 16),
        "audio": torch.tensor(audio),
    }
    return Batch([str(r) for r in rows], torch.tensor(rows), epoch, inputs, lengths, {"text": starts})


def hidden(made: Batch, student: str, modality: str) -> list[list[int]]:
    """Hidden positions of each sample, and a check that what is visible is the rest."""
    mask, rows = made.masks[student][modality], len(made)
    length = int(made.lengths[modality].max()) + 1
    found = [[] for _ in range(rows)]
    for flat in mask.hidden.tolist():
        found[flat // length].append(flat % length)
    for row in range(rows):
        slots = mask.keep[row] if mask.keep_padding is None else mask.keep[row][~mask.keep_padding[row]]
        rest = [p for p in range(int(made.lengths[modality][row]) + 1) if p not in found[row]]
        assert slots.tolist() == rest
    return found


PLACES = [("text", "text"), ("image", "image"), ("audio", "audio"), ("both", "text"), ("both", "image")]


def by_sample(sampler: MaskSampler, rows: list[int], epoch: int = 3) -> dict[int, list[list[int]]]:
    made = sampler(batch(rows, epoch))
    places = [hidden(made, *place) for place in PLACES]
    return {row: [place[at] for place in places] for at, row in enumerate(rows)}


def test_a_mask_is_a_function_of_seed_epoch_and_sample_alone() -> None:
    sampler = MaskSampler(STUDENTS, seed=1)
    whole = by_sample(sampler, [0, 1, 2, 3, 4, 5])
    for rows in ([5, 3, 1, 0, 2, 4], [2], [4, 1]):
        assert by_sample(sampler, rows) == {row: whole[row] for row in rows}
    worker = pickle.loads(pickle.dumps(sampler))  # as a loader's worker has it
    assert by_sample(worker, [1, 4]) == {row: whole[row] for row in (1, 4)}
    assert by_sample(MaskSampler(STUDENTS, seed=1), [0, 5]) == {row: whole[row] for row in (0, 5)}


@pytest.mark.parametrize(("seed", "epoch"), [(2, 3), (1, 4)])
def test_another_seed_or_epoch_gives_other_masks(seed: int, epoch: int) -> None:
    rows = [0, 1, 2, 3, 4, 5]
    one = by_sample(MaskSampler(STUDENTS, seed=1), rows, 3)
    other = by_sample(MaskSampler(STUDENTS, seed=seed), rows, epoch)
    assert all(one[row] != other[row] for row in rows)
    images = [one[row][1] for row in rows]
    assert len({tuple(image) for image in images}) == 6  # nor do two samples share one


def test_counts_and_what_is_never_hidden() -> None:
    for epoch in range(20):
        for row, (text, image, audio, both_text, both_image) in by_sample(
            MaskSampler(STUDENTS, 0), [0, 1, 2, 3, 4, 5], epoch
        ).items():
            for places in (text, image, audio, both_text, both_image):
                assert 0 not in places  # CLS
            assert TEXT[row] not in text + both_text  # the end token
            assert len(image) == 12
            assert len(both_image) == 11
            assert len(audio) == int(0.55 * AUDIO[row])
            assert len(both_text) == int(0.4 * (TEXT[row] - 1))
            assert max(audio) <= AUDIO[row]


@pytest.mark.parametrize("order", [("text", "image", "audio", "both"), ("both", "audio", "image", "text")])
def test_a_student_apart_complements_those_of_one_modality(order: tuple[str, ...]) -> None:
    sampler = MaskSampler({name: STUDENTS[name] for name in order}, 0)
    for text, image, _, both_text, both_image in by_sample(sampler, [0, 1, 2, 3, 4, 5]).values():
        seen, seen_jointly = (set(range(1, 17)) - set(places) for places in (image, both_image))
        assert len(seen) == 4
        assert len(seen_jointly) == 5
        assert not seen & seen_jointly
        assert not set(text) & set(both_text)


def test_students_that_are_not_apart_overlap() -> None:
    sampler = MaskSampler({**STUDENTS, "both": replace(STUDENTS["both"], apart=False)}, 0)
    rows = by_sample(sampler, [0, 1, 2, 3, 4, 5]).values()
    assert any(set(range(1, 17)) - set(row[1]) - set(row[4]) for row in rows)


def test_keys_are_all_real_tokens_and_targets_find_the_hidden() -> None:
    made = MaskSampler(STUDENTS, 0)(batch([3, 0, 1]))
    for student, modality in PLACES:
        mask = made.masks[student][modality]
        assert torch.equal(mask.keys[mask.targets], mask.hidden)
        assert len(mask.keys) == int(made.lengths[modality].sum())
        padding: Tensor | None = made.inputs[modality].padding
        if padding is not None:
            assert not padding.flatten()[mask.keys].any()


def test_active_students() -> None:
    assert STUDENTS["both"].active
    assert not Student({"text": WholeWords(0.1)}).active
    assert not Student({"text": WholeWords(0.1)}, {"text": 0.0}).active
    with pytest.raises(ValueError, match="a student weighs 'image', which it does not hide; it hides text"):
        Student({"text": WholeWords(0.1)}, {"image": 1.0})
