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
