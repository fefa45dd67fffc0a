import torch

from onepeace_pl.modalities import ModalityInput, TextAdapter, View
from onepeace_pl.modalities.text.tokenizer import PAD
from onepeace_pl.nn import TransformerConfig

CONFIG = TransformerConfig(width=32, depth=2, heads=2, feed_forward=64, init_std=0.05)


def test_tokens_are_embedding_and_position() -> None:
    adapter = TextAdapter(CONFIG, vocabulary=60, buckets=8, max_tokens=12)
    ids = torch.tensor([[5, 9, 5, 2]])
    (tokens,) = adapter(ModalityInput(ids), [View()])
    assert torch.equal(tokens.embeddings[0, 0], adapter.cls_token + adapter.position_table[0])
    for place, token in enumerate(ids[0].tolist(), start=1):
        expected = adapter.token_table[token] + adapter.position_table[place]
        assert torch.equal(tokens.embeddings[0, place], expected)


def test_padding_is_zero_and_stays_so() -> None:
    adapter = TextAdapter(CONFIG, vocabulary=60, buckets=8, max_tokens=12)
    assert not adapter.token_table[PAD].any()
    assert adapter.token_table[PAD + 1].any()
    (tokens,) = adapter(ModalityInput(torch.tensor([[5, 2, PAD, PAD]])), [View()])
    tokens.embeddings.sum().backward()
    assert not adapter.token_table.grad[PAD].any()
    assert adapter.token_table.grad[[5, 2]].all()


def test_start() -> None:
    adapter = TextAdapter(CONFIG, vocabulary=2000)
    for tensor in (adapter.token_table, adapter.position_table, adapter.cls_token):
        assert tensor.abs().max() <= 0.05 + 1e-7
    assert abs(adapter.token_table.std().item() / 0.05 - 0.54) < 0.01
    assert (adapter.bias.buckets.rows, len(adapter.position_table)) == (514, 514)


def test_no_weight_decay() -> None:
    assert TextAdapter.no_weight_decay == {"cls_token", "position_table"}
