import numpy as np
import pytest
import torch

from onepeace_pl.modalities.masking import RandomTokens, Spans, WholeWords, build_mask


def test_words_are_hidden_whole_and_the_end_token_never() -> None:
    starts = np.array([1, 0, 0, 1, 0, 1, 1], dtype=bool)  # three words and the end token
    rng = np.random.default_rng(0)
    for _ in range(50):
        hidden = WholeWords(0.4)(7, starts, rng)
        words = [hidden[:3], hidden[3:5], hidden[5:6]]
        assert sum(bool(word.all()) for word in words) == 2
        assert sum(bool(word.any()) for word in words) == 2
        assert not hidden[-1]


def test_the_same_seed_draws_the_same() -> None:
    for rule in (RandomTokens(0.5), Spans(0.5), WholeWords(0.5)):
        first, again = (rule(40, None, np.random.default_rng([1, 2, 3])) for _ in range(2))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, rule(40, None, np.random.default_rng([1, 2, 4])))


def test_random_tokens_complement_the_other_stream() -> None:
    rng = np.random.default_rng(0)
    other = np.zeros(16, dtype=bool)
    other[:12] = True
    hidden = RandomTokens(0.6875)(16, None, rng, other)
    assert hidden.sum() == 11
    assert hidden[12:].all()  # all that the other sees
    few = RandomTokens(0.125)(16, None, rng, other)
    assert few.sum() == 2
    assert not few[:12].any()


def test_random_tokens_fall_back_to_what_the_other_hides() -> None:
    starts = np.ones(6, dtype=bool)
    other = np.array([1, 1, 1, 1, 0, 0], dtype=bool)
    assert RandomTokens(0.6)(6, starts, np.random.default_rng(0), other).tolist()[4:] == [True, False]


@pytest.mark.parametrize("rule", [WholeWords(0.15), RandomTokens(0.4), Spans(0.5)])
def test_a_lone_end_token_stays(rule: WholeWords) -> None:
    assert rule(1, np.ones(1, dtype=bool), np.random.default_rng(0)).tolist() == [False]


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_none_and_all(ratio: float) -> None:
    for rule in (WholeWords(ratio), RandomTokens(ratio), Spans(ratio)):
        assert set(rule(20, None, np.random.default_rng(0)).tolist()) == {bool(ratio)}


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ValueError, match=r"ratio=1.5 must be a share"):
        WholeWords(1.5)
    with pytest.raises(ValueError, match="span=0"):
        Spans(0.5, span=0)


def test_build_mask() -> None:
    hidden = torch.tensor([[0, 1, 0, 1, 0], [0, 1, 0, 0, 0]], dtype=torch.bool)
    padding = torch.tensor([[0, 0, 0, 0, 0], [0, 0, 0, 1, 1]], dtype=torch.bool)
    mask = build_mask(hidden, padding)
    assert mask.keep.tolist() == [[0, 2, 4], [0, 2, 2]]
    assert mask.keep_padding is not None
    assert mask.keep_padding.tolist() == [[False] * 3, [False, False, True]]
    assert mask.hidden.tolist() == [1, 3, 6]
    assert mask.keys.tolist() == [1, 2, 3, 4, 6, 7]
    assert mask.targets.tolist() == [0, 2, 4]


def test_build_mask_with_nothing_hidden_or_padded() -> None:
    mask = build_mask(torch.zeros(2, 3, dtype=torch.bool))
    assert mask.keep.tolist() == [[0, 1, 2]] * 2
    assert mask.keep_padding is None
    assert mask.hidden.shape == mask.targets.shape == (0,)


def test_build_mask_refuses_a_hidden_cls_or_pad() -> None:
    hidden = torch.tensor([[True, False]])
    with pytest.raises(ValueError, match="CLS token at index 0"):
        build_mask(hidden)
    with pytest.raises(ValueError, match="padded"):
        build_mask(hidden.flip(1), hidden.flip(1))
