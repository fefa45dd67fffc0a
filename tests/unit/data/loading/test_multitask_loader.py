import pickle

import pytest

from onepeace_pl.data.loading.collate import Collator
from onepeace_pl.data.loading.dataset import PreparedRows
from onepeace_pl.data.loading.loader import ResumableLoader
from onepeace_pl.data.loading.multitask_loader import MultiTaskLoader
from onepeace_pl.data.loading.samplers import EpochBatchSampler
from onepeace_pl.data.source import Row, Source
from onepeace_pl.modalities import TextProcessor
from onepeace_pl.modalities.text.tokenizer import Tokenizer

TOKENIZER = Tokenizer.train(["sentence"])
TaskOutput = dict[str, tuple[int, list[int]]]


class Sentences(Source):
    modalities = ("text",)

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int, /) -> Row:
        return Row(str(index), {"text": f"sentence {index}"})


def one(size: int, batch_size: int, workers: int = 0, fixed: bool = False) -> ResumableLoader:
    processors = {"text": TextProcessor(TOKENIZER)}
    rows = PreparedRows(Sentences(size), processors, train=True)
    return ResumableLoader(
        rows, EpochBatchSampler(size, batch_size, fixed=fixed), Collator(processors), workers
    )


def several(workers: int = 0, fixed: bool = False) -> MultiTaskLoader:
    """Five batches an epoch beside two."""
    return MultiTaskLoader({"long": one(10, 2, workers, fixed), "short": one(6, 3, workers, fixed)})


def epoch_of(loader: MultiTaskLoader, epoch: int) -> list[TaskOutput]:
    loader.set_epoch(epoch)
    batches = list(loader)
    assert {batch.epoch for batch in batches} <= {loader.epoch}
    return [
        {name: (own.epoch, own.indices.tolist()) for name, own in batch.tasks.items()} for batch in batches
    ]


def test_each_loader_goes_through_epochs_of_its_own() -> None:
    loader = several()
    assert len(loader) == 5
    steps = epoch_of(loader, 0) + epoch_of(loader, 1)
    alone = one(6, 3)
    expected = []
    for epoch in range(5):
        alone.batches.set_epoch(epoch)
        expected += [(epoch, batch.indices.tolist()) for batch in alone]
    assert [step["short"] for step in steps] == expected
    assert [step["long"][0] for step in steps] == [0] * 5 + [1] * 5
    assert sorted(i for step in steps[5:] for i in step["long"][1]) == list(range(10))


@pytest.mark.parametrize("workers", [0, 1])
def test_it_goes_on_where_it_was(workers: int) -> None:
    whole = [epoch_of(several(), epoch) for epoch in range(3)]
    first = several(workers)
    first.set_epoch(1)
    batches = iter(first)
    for _ in range(3):
        next(batches)
    second = several(workers)
    second.load_state_dict({**pickle.loads(pickle.dumps(first.state_dict())), "epoch": 1, "batches": 3})
    rest = iter(second)  # Lightning makes the iterator first, then sets the epoch
    second.set_epoch(1)
    found = [{name: (own.epoch, own.indices.tolist()) for name, own in b.tasks.items()} for b in rest]
    assert found == whole[1][3:]
    assert epoch_of(second, 2) == whole[2]


def test_a_state_of_other_batches_or_tasks_is_not_used() -> None:
    state = MultiTaskLoader({"long": one(10, 2)}).state_dict()
    loader = several()
    with pytest.warns(UserWarning, match="reshuffled"):
        loader.load_state_dict({**state, "batches": 2})
    assert len(list(loader)) == 5


def test_to_overfit_draws_the_first_epoch_again() -> None:
    loader = several(fixed=True)
    assert epoch_of(loader, 0) == epoch_of(loader, 3)
    assert [step["short"][1] for step in epoch_of(loader, 0)][:2] * 2 == [
        step["short"][1] for step in epoch_of(loader, 0)
    ][:4]


def test_a_batch_of_several_is_one_of_all_rows() -> None:
    batch = next(iter(several()))
    assert len(batch) == 5
    assert batch.ids == [*batch.tasks["long"].ids, *batch.tasks["short"].ids]
    assert not batch.inputs
    assert set(batch.to("meta").tasks) == {"long", "short"}
    assert batch.to("meta").tasks["short"].inputs["text"].values.is_meta
