import pytest
import torch

from onepeace_pl.metrics import AboveOptimumError, RetrievalMetric, above_optimum


@pytest.mark.parametrize(
    ("recall", "optimum", "queries", "expected"),
    [
        (0.50, 0.41, 256, False),  # 2.9 deviations
        (0.51, 0.41, 256, True),
        (0.51, 0.41, 64, False),
        (0.30, 0.41, 256, False),
        (1.00, 1.00, 256, False),
        (0.01, 0.00, 100, False),
        (0.20, 0.00, 100, True),
    ],
)
def test_three_deviations(recall: float, optimum: float, queries: int, expected: bool) -> None:
    assert above_optimum(recall, optimum, queries) is expected


def perfect(optimum: float, rows: int | None = None) -> RetrievalMetric:
    metric = RetrievalMetric(["audio"], ["image"], rows=rows, optimum={"audio->image": {1: optimum}})
    metric.update(torch.eye(64), torch.eye(64), [str(i) for i in range(64)], torch.arange(64))
    return metric


def test_a_result_too_good_fails_loudly() -> None:
    with pytest.raises(AboveOptimumError, match=r"audio->image R@1 = 1\.000 on gallery 'audio_image'"):
        perfect(0.4).compute()
    perfect(0.95).compute()


def test_a_part_of_the_gallery_is_not_compared_with_the_optimum_of_the_whole() -> None:
    result = perfect(0.4, rows=65).compute()
    assert result.partial
    assert not result.directions["audio->image"].optimum
