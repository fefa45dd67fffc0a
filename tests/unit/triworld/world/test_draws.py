from onepeace_pl.triworld.world.draws import Draws


def test_the_stream_is_pinned() -> None:
    draws = Draws(7, 1, 3)
    assert [draws.below(1000) for _ in range(6)] == [971, 522, 813, 768, 910, 229]
    assert 0 <= draws.uniform(2, 3) - 2 < 1


def test_other_keys_give_other_streams() -> None:
    firsts = {
        Draws(seed, split, index, 1).word() for seed in range(3) for split in range(3) for index in range(9)
    }
    assert len(firsts) == 81


def test_shuffled_is_a_fair_permutation() -> None:
    draws = Draws(0)
    counts = [[0] * 3 for _ in range(3)]
    for _ in range(3000):
        order = draws.shuffled((0, 1, 2))
        assert sorted(order) == [0, 1, 2]
        for place, value in enumerate(order):
            counts[place][value] += 1
    assert all(900 < count < 1100 for row in counts for count in row)
