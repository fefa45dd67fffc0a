"""Retrieval from a pool that mixes modalities."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from onepeace_pl.errors import UserError
from onepeace_pl.metrics.gap_report import gap_report, paired_differences
from onepeace_pl.metrics.mixed_pool import Items, mixed_pools


def items(vectors: Tensor, ids: list[int] | None = None, index: list[int] | None = None) -> Items:
    rows = torch.arange(len(vectors))
    return Items(
        vectors, rows if ids is None else torch.tensor(ids), rows if index is None else torch.tensor(index)
    )


def at(*degrees: float) -> Tensor:
    angles = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([angles.cos(), angles.sin()], 1)


def test_a_pool_counted_by_hand() -> None:
    """Text 0 is at 0 degrees; its image at 40. Nearer are the texts at 10 and 30, and an image at 20."""
    pool = {"text": items(at(0, 10, 30)), "image": items(at(40, 20, 170))}
    found = mixed_pools(pool, k=2)["text"]
    assert found.available == {"text": 2 / 5, "image": 3 / 5}
    assert found.counts["text"].tolist() == [1, 1, 0]  # 10, 20 | 0 or 20, both 10 away | 20, 40
    assert found.counts["image"].tolist() == [1, 1, 2]
    image = found.targets["image"]
    assert image.queries.tolist() == [0, 1, 2]
    assert image.own.tolist() == [2, 1, 3]
    assert image.mixed.tolist() == [4, 2, 5]
    assert found.first.tolist() == [4, 2, 5]
    assert list(found.targets) == ["image"]  # no text is related to another


def test_other_related_candidates_are_left_out() -> None:
    """Two captions of one image: each finds the other, and the image, at rank 1."""
    pool = {"text": items(at(0, 5, 90), [0, 0, 1]), "image": items(at(8, 80), [0, 1])}
    text = mixed_pools(pool, k=1)["text"]
    assert text.targets["text"].queries.tolist() == [0, 1]
    assert text.targets["text"].mixed.tolist() == [1, 1]
    assert text.targets["image"].mixed.tolist() == [1, 1, 1]
    assert text.first.tolist() == [1, 1, 1]


def test_one_item_of_several_rows() -> None:
    """The image stands beside both captions, once; a caption of two images is right for both."""
    pool = {
        "text": items(at(0, 10), [0, 0, 1], [0, 1, 1]),
        "image": items(at(3, 60), [0, 0, 1], [0, 0, 1]),
    }
    found = mixed_pools(pool, k=1)
    assert found["image"].available == {"text": 2 / 3, "image": 1 / 3}
    assert found["image"].targets["text"].mixed.tolist() == [1, 1]
    assert found["text"].targets["image"].mixed.tolist() == [1, 1]


def test_ties_are_pessimistic() -> None:
    same = at(*[30.0] * 4)
    found = mixed_pools({"text": items(same), "image": items(same)}, k=1)["text"]
    assert found.targets["image"].own.tolist() == [4] * 4
    assert found.targets["image"].mixed.tolist() == [7] * 4


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_chunks_do_not_matter(chunk) -> None:
    generator = torch.Generator().manual_seed(0)
    pool = {
        name: items(normalize(torch.randn(20, 4, generator=generator), dim=1), [i // 2 for i in range(20)])
        for name in ("text", "image", "audio")
    }
    whole, parts = mixed_pools(pool), mixed_pools(pool, chunk=chunk)
    for name, one in whole.items():
        assert one.counts["audio"].tolist() == parts[name].counts["audio"].tolist()
        for target, ranks in one.targets.items():
            assert ranks.mixed.tolist() == parts[name].targets[target].mixed.tolist()
        assert sum(counts for counts in one.counts.values()).tolist() == [10] * 20


def test_scores_by_modality_change_the_mixed_pool_alone() -> None:
    pool = {"text": items(at(0, 10, 30)), "image": items(at(40, 20, 170))}

    def score(query: str, queries: Tensor, target: str, candidates: Tensor) -> Tensor:
        return queries @ candidates.T + (2.0 if query != target else 0.0)

    before, after = mixed_pools(pool, k=2)["text"], mixed_pools(pool, score, k=2)["text"]
    assert after.targets["image"].own.tolist() == before.targets["image"].own.tolist()
    assert after.targets["image"].mixed.tolist() == after.targets["image"].own.tolist()
    assert after.share("image").value == 1


def test_a_list_longer_than_the_pool() -> None:
    with pytest.raises(UserError, match="6 items in all, and a list of 10"):
        mixed_pools({"text": items(at(0, 1, 2)), "image": items(at(3, 4, 5))})


def test_report_and_paired_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    content = torch.randn(40, 6, generator=generator)
    away = 3 * torch.eye(6)[0]
    before = {
        "text": items(normalize(content + away, dim=1)),
        "image": items(normalize(content - away, dim=1)),
    }
    after = {name: items(normalize(content, dim=1)) for name in before}
    one, two = gap_report(before), gap_report(after)
    names = [each.name for each in one]
    assert names[:2] == ["centroid distance text-image", "probe accuracy (chance 0.500)"]
    assert "text->image R@1, mixed" in names
    assert names == [each.name for each in two]
    at_1 = names.index("text->image R@1, mixed")
    assert one[at_1].interval.value == 0  # crowded out by texts
    assert two[at_1].interval.value == 1
    differences = paired_differences(two, one)
    assert differences[0] is None
    assert differences[1] is None
    assert differences[at_1] is not None
    assert differences[at_1].value == 1
