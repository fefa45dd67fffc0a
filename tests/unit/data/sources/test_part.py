import pytest

from onepeace_pl.data.batches import Row
from onepeace_pl.data.sources import PartSource


class Ten:
    modalities = ("text",)
    classes = ("even", "odd")
    takes_epoch = True

    def __len__(self) -> int:
        return 10

    def __getitem__(self, key, /) -> Row:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        return Row(f"{epoch}/{index}", {"text": f"number {index}"}, {"class": index % 2})

    def labels(self):
        return ({"class": index % 2} for index in range(10))


def test_parts_share_no_row_and_leave_none_out() -> None:
    train, rest = PartSource(Ten(), 5, [0, 1, 2, 4]), PartSource(Ten(), 5, [3])
    ids = [source[i].id for source in (train, rest) for i in range(len(source))]
    assert sorted(ids) == sorted(f"0/{i}" for i in range(10))
    assert [rest[i].id for i in range(2)] == ["0/3", "0/8"]
    assert rest[2, 1].id == "2/8"
    assert list(rest.labels()) == [{"class": 1}, {"class": 0}]
    assert list(rest.texts()) == ["number 3", "number 8"]
    assert rest.classes == ("even", "odd")


@pytest.mark.parametrize(
    ("folds", "take", "message"), [(5, [5], "name folds"), (5, [], "name folds"), (20, [15], "no row")]
)
def test_mistakes_are_named(folds: int, take: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PartSource(Ten(), folds, take)
