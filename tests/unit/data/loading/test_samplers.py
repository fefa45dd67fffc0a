import numpy as np
import pytest

from onepeace_pl.data.loading.samplers import EpochBatchSampler


def epoch(
    size: int, batch_size: int, number: int = 0, world_size: int = 1, **options: object
) -> list[list[list[int]]]:
    """Return rank -> batches -> indices."""
    ranks = [
        EpochBatchSampler(size, batch_size, rank=r, world_size=world_size, **options)  # type: ignore[arg-type]
        for r in range(world_size)
    ]
    for sampler in ranks:
        sampler.set_epoch(number)
    assert len({len(sampler) for sampler in ranks}) == 1
    drawn = [list(sampler) for sampler in ranks]
    assert {e for rank in drawn for batch in rank for e, _ in batch} == {number}
    assert all(len(rank) == len(sampler) for rank, sampler in zip(drawn, ranks, strict=True))
    return [[[index for _, index in batch] for batch in rank] for rank in drawn]


@pytest.mark.parametrize(
    ("size", "batch_size", "world_size"), [(10, 3, 1), (10, 3, 2), (24, 4, 3), (2, 4, 2), (7, 7, 1)]
)
@pytest.mark.parametrize("by_length", [False, True])
def test_every_rank_has_as_many_full_batches_and_no_row_is_lost(
    size: int, batch_size: int, world_size: int, by_length: bool
) -> None:
    lengths = list(np.random.default_rng(0).random(size)) if by_length else None
    drawn = epoch(size, batch_size, 1, world_size, lengths=lengths)
    assert {len(batch) for rank in drawn for batch in rank} == {batch_size}
    assert len({len(rank) for rank in drawn}) == 1
    rows = [index for rank in drawn for batch in rank for index in batch]
    counts = np.bincount(rows, minlength=size)
    assert counts.min() >= 1
    assert counts.max() - counts.min() <= 1
    assert len(rows) < size + batch_size * world_size


def test_order_depends_on_seed_and_epoch_alone() -> None:
    assert epoch(50, 8, 2) == epoch(50, 8, 2)
    assert epoch(50, 8, 2) != epoch(50, 8, 3)
    assert epoch(50, 8, 2, seed=1) == epoch(50, 8, 3, seed=0)


def test_ranks_take_contiguous_blocks_and_the_first_rows_are_repeated() -> None:
    whole = [index for batch in epoch(10, 1)[0] for index in batch]
    first, second = epoch(10, 3, world_size=2)
    together = [index for rank in (first, second) for batch in rank for index in batch]
    assert together == whole + whole[:2]


def test_buckets_hold_similar_lengths_and_the_same_rows() -> None:
    lengths = list(np.random.default_rng(0).random(240))
    plain, bucketed = epoch(240, 8), epoch(240, 8, lengths=lengths)
    flat = [sorted(i for rank in drawn for batch in rank for i in batch) for drawn in (plain, bucketed)]
    assert flat[0] == flat[1]

    def spread(drawn: list[list[list[int]]]) -> float:
        return float(np.mean([np.ptp([lengths[i] for i in batch]) for rank in drawn for batch in rank]))

    assert spread(bucketed) < spread(plain) / 5
    means = [np.mean([lengths[i] for i in batch]) for batch in bucketed[0]]
    assert means != sorted(means)  # steps do not go from short to long


def test_outside_training_rows_keep_their_order() -> None:
    assert epoch(7, 3, train=False) == [[[0, 1, 2], [3, 4, 5], [6]]]
    assert epoch(7, 3, world_size=2, train=False) == [[[0, 1, 2], [3]], [[4, 5, 6], [0]]]


def test_resuming_leaves_out_what_was_done_once() -> None:
    sampler = EpochBatchSampler(12, 3, seed=5)
    sampler.set_epoch(4)
    whole = list(sampler)
    sampler.resume(4, 2)
    assert len(sampler) == 4
    assert list(sampler) == whole[2:]
    assert list(sampler) == whole
    sampler.resume(4, 2)
    sampler.set_epoch(5)
    assert len(list(sampler)) == 4


def test_lightning_finds_the_sampler() -> None:
    sampler = EpochBatchSampler(4, 2)
    sampler.sampler.set_epoch(3)
    assert sampler.epoch == 3


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="has no rows"):
        EpochBatchSampler(0, 2)
    with pytest.raises(ValueError, match="batch_size=0"):
        EpochBatchSampler(3, 0)
    with pytest.raises(ValueError, match="2 lengths for 3 rows"):
        EpochBatchSampler(3, 1, lengths=[1, 2])


def test_the_stored_order_is_the_one_it_has_always_been() -> None:
    order = np.arange(11)
    np.random.RandomState(7 + 2).shuffle(order)
    blocks = np.resize(order, 12).reshape(2, 3, 2)
    assert epoch(11, 2, 2, world_size=2, seed=7) == blocks.tolist()


def test_steps_of_a_computed_order_are_divided_among_the_ranks() -> None:
    whole = [index for batch in epoch(10, 1, 3, shuffle="computed")[0] for index in batch]
    assert sorted(whole) == list(range(10))
    first, second = epoch(10, 3, 3, world_size=2, shuffle="computed")
    assert first + second == [whole[:3], [*whole[6:9]], whole[3:6], [whole[9], *whole[:2]]]
    assert whole != [index for batch in epoch(10, 1, 4, shuffle="computed")[0] for index in batch]


def test_a_computed_order_goes_on_with_other_batches_and_ranks() -> None:
    whole = [index for batch in epoch(50, 1, 1, shuffle="computed")[0] for index in batch]
    ranks = [EpochBatchSampler(50, 3, rank=r, world_size=3, shuffle="computed") for r in range(3)]
    for sampler in ranks:
        sampler.set_epoch(1)
        sampler.resume_after(1, 14)  # no multiple of 9
    drawn = [[[index for _, index in batch] for batch in sampler] for sampler in ranks]
    steps = [[index for rank in drawn for index in rank[step]] for step in range(len(drawn[0]))]
    assert [index for step in steps for index in step] == [*whole[14:], *whole[:0]]
    assert [len(list(sampler)) for sampler in ranks] == [6, 6, 6]  # whole again


def test_a_computed_order_has_no_buckets() -> None:
    with pytest.raises(ValueError, match="stored order"):
        EpochBatchSampler(2, 1, lengths=[1, 2], shuffle="computed")
    with pytest.raises(ValueError, match="shuffle='drawn' is unknown"):
        EpochBatchSampler(2, 1, shuffle="drawn")  # type: ignore[arg-type]
