"""Heads against plain formulas; padding never matters."""

import pytest
import torch

from onepeace_pl.backbone import Features
from onepeace_pl.heads import AttentionPooling, ClassificationHead, MeanPoolingHead
from onepeace_pl.nn import TransformerConfig

CONFIG = TransformerConfig(width=32, depth=1, heads=4, feed_forward=64)


def features(lengths: tuple[int, ...] = (5, 3)) -> Features:
    torch.manual_seed(0)
    longest = max(lengths)
    padding = torch.arange(longest) >= torch.tensor(lengths)[:, None]
    return Features({"touch": torch.randn(len(lengths), longest, 32)}, {"touch": padding}, {"touch": longest})


def test_pooling_is_the_formula() -> None:
    torch.manual_seed(1)
    pooling = AttentionPooling(32, 4)
    torch.nn.init.normal_(pooling.query)
    x = torch.randn(1, 6, 32)
    heads = []
    for h in range(4):
        part = slice(8 * h, 8 * h + 8)
        keys, values = pooling.key(x)[0, :, part], pooling.value(x)[0, :, part]
        heads.append(torch.softmax(keys @ pooling.query[h], 0) @ values)
    assert torch.allclose(pooling(x)[0], pooling.out(torch.cat(heads)), atol=1e-6)


@pytest.mark.parametrize("make", [lambda: ClassificationHead(CONFIG, 3), lambda: MeanPoolingHead(32, 3)])
def test_padding_and_cls_do_not_count(make) -> None:
    head = make()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    given = features()
    out = head(given, "touch")
    assert out.shape == (2, 3)
    changed = features()
    changed.tokens["touch"][1, 3:] = 100.0
    changed.tokens["touch"][:, 0] = -100.0
    assert torch.allclose(head(changed, "touch"), out, atol=1e-5)
    alone = Features({"touch": given.tokens["touch"][1:, :3]}, {"touch": None}, {"touch": 3})
    assert torch.allclose(head(alone, "touch"), out[1:], atol=1e-5)


def test_mean_head_is_the_formula() -> None:
    torch.manual_seed(1)
    head = MeanPoolingHead(32, 3)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    mean = features().tokens["touch"][1, 1:3].mean(0)
    normed = (mean - mean.mean()) / (mean.var(correction=0) + 1e-5).sqrt() * head.norm.weight + head.norm.bias
    expected = head.linear.weight @ normed + head.linear.bias
    assert torch.allclose(head(features(), "touch")[1], expected, atol=1e-4)


def test_without_attention_cls_alone_counts() -> None:
    head = ClassificationHead(CONFIG, 3, attention_pooling=False, pooler=True)
    given, changed = features(), features()
    changed.tokens["touch"][:, 1:] = 5.0
    assert torch.equal(head(given, "touch"), head(changed, "touch"))


def test_two_passes_are_put_side_by_side() -> None:
    head = ClassificationHead(CONFIG, 2, passes=2)
    assert head.classifier[0].in_features == 64
    one, two = features((5, 5)), features((5, 5))
    two.tokens["touch"] = two.tokens["touch"].flip(0)
    assert torch.allclose(head([one, one], "touch"), head([one, one], "touch"))
    assert not torch.allclose(head([one, two], "touch"), head([two, one], "touch"))
