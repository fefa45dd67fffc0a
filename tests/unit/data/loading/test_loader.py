import pickle

import pytest
import torch

from onepeace_pl.data.loading.collate import Collator
from onepeace_pl.data.loading.dataset import PreparedRows
from onepeace_pl.data.loading.loader import ResumableLoader
from onepeace_pl.data.loading.samplers import EpochBatchSampler
from onepeace_pl.data.source import Row, Source
from onepeace_pl.modalities import TextProcessor
from onepeace_pl.modalities.text.tokenizer import Tokenizer


class Sentences(Source):
    modalities = ("text",)

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> Row:
        return Row(str(index), {"text": f"sentence {index}"})


def loader(batch_size: int = 3) -> ResumableLoader:
    processors = {"text": TextProcessor(Tokenizer.train(["sentence"]))}
    rows = PreparedRows(Sentences(), processors, train=True)
    return ResumableLoader(rows, EpochBatchSampler(10, batch_size), Collator(processors))


def test_it_goes_on_where_the_run_says() -> None:
    first = loader()
    whole = [batch.ids for batch in first]
    batches = iter(first)
    assert [next(batches).ids for _ in range(2)] == whole[:2]
    second = loader()
    second.load_state_dict({**pickle.loads(pickle.dumps(first.state_dict())), "epoch": 0, "batches": 2})
    assert len(second) == 4
    assert [batch.ids for batch in second] == whole[2:]


def test_a_state_of_other_batches_is_not_used() -> None:
    state = loader(batch_size=2).state_dict()
    other = loader()
    with pytest.warns(UserWarning, match="reshuffled"):
        other.load_state_dict({**state, "batches": 2})
    assert len(list(other)) == 4


def test_iterating_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    list(loader())
    assert torch.equal(torch.rand(1), expected)


def computed(rank: int = 0, world_size: int = 1, batch_size: int = 3) -> ResumableLoader:
    processors = {"text": TextProcessor(Tokenizer.train(["sentence"]))}
    rows = PreparedRows(Sentences(), processors, train=True)
    batches = EpochBatchSampler(10, batch_size, rank=rank, world_size=world_size, shuffle="computed")
    return ResumableLoader(rows, batches, Collator(processors))


def test_a_computed_order_goes_on_with_another_number_of_ranks_and_again() -> None:
    whole = [name for batch in computed(batch_size=1) for name in batch.ids]
    state = {**computed().state_dict(), "epoch": 0, "batches": 1}
    pair = [computed(rank, 2, 2) for rank in range(2)]
    for each in pair:
        each.load_state_dict(state)
    streams = [iter(each) for each in pair]
    seen = [name for stream in streams for name in next(stream).ids]
    assert seen == whole[3:7]
    begun = pair[0].batches.place()
    last = computed(batch_size=2)
    last.load_state_dict({**pair[0].state_dict(), "epoch": 0, "batches": begun.batch + 1})
    assert [name for batch in last for name in batch.ids] == [*whole[7:], whole[0]]


def test_the_two_orders_do_not_resume_each_other() -> None:
    position = {"epoch": 0, "batches": 2}
    for saved, resumed in ((loader(), computed()), (computed(), loader())):
        with pytest.warns(UserWarning, match="reshuffled"):
            resumed.load_state_dict({**saved.state_dict(), **position})
        assert len(list(resumed)) == 4
