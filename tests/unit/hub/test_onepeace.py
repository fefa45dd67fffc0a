"""The embedder, as somebody who comes from sentence-transformers would use it."""

import copy
import json
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from onepeace_pl import OnePeace
from onepeace_pl.backbone import ForwardPass
from onepeace_pl.hub import quantize_embeddings

from .conftest import TEXTS, make_model

rng = np.random.default_rng(0)
PICTURES = [rng.integers(0, 256, (20 + 5 * i, 30, 3), dtype=np.uint8) for i in range(4)]
SOUNDS = [rng.normal(size=16000 + 3000 * (i % 3)).astype(np.float32) for i in range(4)]
CLOSE = {"atol": 2e-6, "rtol": 0}


@pytest.mark.parametrize("items", [{"text": TEXTS}, {"image": PICTURES}, {"audio": SOUNDS}])
@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_order_is_kept_and_neighbours_do_not_matter(model, items, batch_size):
    ((name, values),) = items.items()
    vectors = model.encode(batch_size=batch_size, **{name: values * 3})
    assert vectors.shape == (12, model.dim)
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(12))
    for i, value in enumerate(values * 3):
        torch.testing.assert_close(vectors[i], model.encode(**{name: [value]})[0], **CLOSE)
    assert (vectors[0] - vectors[1]).abs().max() > 1e-3


def test_one_item_without_a_list(model, tmp_path):
    assert torch.equal(model.encode(text=TEXTS[0]), model.encode(text=[TEXTS[0]])[0])
    picture = Image.fromarray(PICTURES[0])
    picture.save(tmp_path / "a.png")
    expected = model.encode(image=[PICTURES[0]])[0]
    for item in (picture, tmp_path / "a.png", str(tmp_path / "a.png"), (tmp_path / "a.png").read_bytes()):
        assert torch.equal(model.encode(image=item), expected)
    assert torch.equal(model.encode(audio=(SOUNDS[0], 16000)), model.encode(audio=[SOUNDS[0]])[0])
    assert model.encode(text=TEXTS[0], image=picture).shape == (model.dim,)


def test_kinds_of_items(model):
    tensors = torch.rand(2, 3, 32, 32)
    assert torch.equal(model.encode(image=tensors), model.encode(image=list(tensors)))
    assert torch.equal(model.encode(text=tuple(TEXTS)), model.encode(text=TEXTS))
    assert torch.equal(model.encode(text=np.array(TEXTS)), model.encode(text=TEXTS))
    assert torch.equal(model.encode(text=(t for t in TEXTS)), model.encode(text=TEXTS))


@pytest.mark.parametrize("fuse", ["sum", "joint"])
def test_fused_inputs_are_one_vector_an_item(model, fuse):
    both = model.encode(text=TEXTS, image=PICTURES, fuse=fuse)
    assert both.shape == (4, model.dim)
    one = model.encode(text=TEXTS[1:2], image=PICTURES[1:2], fuse=fuse)
    torch.testing.assert_close(both[1:2], one, **CLOSE)
    assert (both - model.encode(text=TEXTS)).abs().max() > 1e-3
    three = model.encode(text=TEXTS[:1], image=PICTURES[:1], audio=SOUNDS[:1], fuse=fuse)
    torch.testing.assert_close(three.norm(), torch.tensor(1.0))


def test_the_sum_is_that_of_the_separate_vectors(model):
    parts = model.encode(text=TEXTS) + model.encode(image=PICTURES)
    expected = torch.nn.functional.normalize(parts, dim=1)
    torch.testing.assert_close(model.encode(text=TEXTS, image=PICTURES, fuse="sum"), expected, **CLOSE)
    joint = model.encode(text=TEXTS, image=PICTURES, fuse="joint")
    assert (joint - expected).abs().max() > 1e-3


@pytest.mark.parametrize("fuse", ["sum", "joint"])
def test_the_default_is_what_the_folder_says(model, tmp_path, fuse):
    model.backbone.fuse = fuse
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["backbone"]["fuse"] == fuse
    card = {"sum": "normalised sum of their vectors", "joint": "one joint pass"}[fuse]
    assert f"| several modalities | {card} |" in (tmp_path / "README.md").read_text()
    loaded = OnePeace.from_pretrained(tmp_path, device="cpu")
    both = {"text": TEXTS, "image": PICTURES}
    assert torch.equal(loaded.encode(**both), loaded.encode(**both, fuse=fuse))


def test_a_folder_of_before_fuses_by_the_sum(model, tmp_path):
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["backbone"]["fuse"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert OnePeace.from_pretrained(tmp_path, device="cpu").backbone.fuse == "sum"


def test_nothing_and_mistakes(model):
    assert model.encode(text=[]).shape == (0, model.dim)
    with pytest.raises(ValueError, match="nothing to encode"):
        model.encode()
    with pytest.raises(ValueError, match="no modality 'video'; the model has text, image, audio"):
        model.encode(video=["a.mp4"])
    without = OnePeace(model.backbone, {"text": model.processors["text"]})
    with pytest.raises(ValueError, match="the model has image, but no preprocessing for it"):
        without.encode(image=PICTURES)
    with pytest.raises(ValueError, match="4 text, 2 image"):
        model.encode(text=TEXTS, image=PICTURES[:2])
    with pytest.raises(ValueError, match="text is one item and image a list"):
        model.encode(text=TEXTS[0], image=PICTURES)
    with pytest.raises(TypeError, match=r"image=\[array\]"):
        model.encode(image=PICTURES[0])
    with pytest.raises(TypeError, match="must be a list"):
        model.encode(text=3)
    with pytest.raises(TypeError, match="text must be a string"):
        model.encode(text=[3])
    with pytest.raises(ValueError, match=r"^fuse='mean': choose one of sum, joint$"):
        model.encode(text=TEXTS, image=PICTURES, fuse="mean")
    with pytest.raises(ValueError, match="batch_size=0"):
        model.encode(text=TEXTS, batch_size=0)


def test_cuts_are_told_each_time(model):
    long = "a dog barks in the snow " * 9
    with pytest.warns(UserWarning, match="cut to 20"):
        model.encode(text=[long])
    with pytest.warns(UserWarning, match="2 of 3 text items were cut"):
        model.encode(text=[long, "rain", long])
    with pytest.warns(UserWarning, match=r"3\.00 s were cut"):
        model.encode(audio=[rng.normal(size=48000).astype(np.float32)])
    assert model.truncation_counts == {"text": 3, "audio": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.encode(text=["rain"])


def test_similarity(model):
    a, b = model.encode(text=TEXTS), model.encode(image=PICTURES[:2])
    table = model.similarity(a, b)
    assert table.shape == (4, 2)
    torch.testing.assert_close(table, a @ b.T)
    torch.testing.assert_close(model.similarity(a[1], b), table[1:2])
    torch.testing.assert_close(model.similarity(3 * a.numpy(), b), table)
    with pytest.raises(ValueError, match="different models"):
        model.similarity(a, b[:, :3])


def test_half_precision_is_near(model):
    exact = {"text": model.encode(text=TEXTS), "image": model.encode(image=PICTURES)}
    assert model.to(dtype=torch.bfloat16).dtype == torch.bfloat16
    for name, items in (("text", TEXTS), ("image", PICTURES), ("audio", SOUNDS)):
        vectors = model.encode(**{name: items})
        assert vectors.dtype == torch.float32
        if name in exact:
            assert torch.nn.functional.cosine_similarity(vectors, exact[name]).min() > 0.99


def test_training_goes_on_as_it_was():
    model = make_model(dropout=0.5)
    expected = model.encode(text=TEXTS)
    model.backbone.train()
    assert torch.equal(model.encode(text=TEXTS), expected)
    assert model.backbone.training


def test_a_folder_without_tokenizer(model, tmp_path):
    tokenizer, expected = model.processors["text"].tokenizer, model.encode(text=TEXTS)
    model.processors["text"].tokenizer = None
    model.save_pretrained(tmp_path / "model")
    loaded = OnePeace.from_pretrained(tmp_path / "model", device="cpu")
    assert loaded.encode(image=PICTURES).shape == (4, model.dim)
    with pytest.raises(ValueError, match="no tokenizer"):
        loaded.encode(text=TEXTS)
    tokenizer.save(tmp_path / "tokenizer.json")
    for given in (tokenizer, tmp_path / "tokenizer.json"):
        loaded = OnePeace.from_pretrained(tmp_path / "model", device="cpu", tokenizer=given)
        assert torch.equal(loaded.encode(text=TEXTS), expected)


def test_a_tokenizer_of_another_model(model):
    model.processors["text"].tokenizer = type(model.processors["text"].tokenizer).train(
        [f"word{i} {i * 7919}" for i in range(400)], 800
    )
    with pytest.raises(ValueError, match="the tokenizer is of another model"):
        model.encode(text=["word1 word22 word333 word399"])


def test_vectors_of_16_bit_weights_have_length_one(model):
    half = OnePeace(copy.deepcopy(model.backbone), model.processors)
    for dtype in (torch.bfloat16, torch.float16):
        half.to(dtype=dtype)
        for items in ({"text": TEXTS}, {"image": PICTURES}, {"text": TEXTS, "image": PICTURES}):
            vectors = half.encode(**items)
            torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(4), atol=1e-6, rtol=0)


def test_sounds_of_any_rate_unless_told_otherwise(model):
    time = np.arange(44_101) / 44_101
    sound = (np.sin(time * 2000).astype(np.float32), 44_101)
    expected = model.encode(audio=[np.sin(np.arange(16_000) / 16_000 * 2000).astype(np.float32)])
    assert model.similarity(model.encode(audio=sound), expected) > 0.999
    with pytest.raises(ValueError, match="44101 Hz instead of 16000"):
        model.encode(audio=sound, resample=False)
    assert model.processors["audio"].resample is False  # what is saved is what it was in training


@pytest.mark.parametrize("items", [{"text": TEXTS}, {"image": PICTURES, "text": TEXTS}])
def test_vectors_are_cut_and_normalised_then_quantised(model, items):
    whole = model.encode(**items)
    model.backbone.add_matryoshka_dims([model.dim, 16])
    cut = model.encode(truncate_dim=16, **items)
    torch.testing.assert_close(cut, torch.nn.functional.normalize(whole[:, :16], dim=1))
    assert torch.equal(model.encode(truncate_dim=model.dim, **items), whole)
    for precision in ("int8", "uint8", "binary", "ubinary"):
        found = model.encode(truncate_dim=16, precision=precision, **items)
        assert torch.equal(found, quantize_embeddings(cut, precision))
    ranges = torch.stack([cut.amin(0), cut.amax(0)])
    found = model.encode(truncate_dim=16, precision="int8", ranges=ranges, **items)
    assert torch.equal(found, quantize_embeddings(cut, "int8", ranges))
    assert model.encode(text=TEXTS[0], precision="ubinary").shape == (model.dim // 8,)
    assert model.encode(text=[], truncate_dim=16, precision="int8").shape == (0, 16)


def test_lengths_without_training_are_warned_about(model, tmp_path):
    with pytest.warns(UserWarning, match="truncate_dim=8: the model was trained at 32 values"):
        model.encode(text=TEXTS, truncate_dim=8)
    model.backbone.add_matryoshka_dims([32, 8])
    model.save_pretrained(tmp_path)
    assert "| trained lengths (`truncate_dim`) | 32, 8 |" in (tmp_path / "README.md").read_text()
    loaded = OnePeace.from_pretrained(tmp_path, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded.encode(text=TEXTS, truncate_dim=8)
        loaded.encode(text=TEXTS, truncate_dim=32)
    with pytest.warns(UserWarning, match="truncate_dim=16: the model was trained at 32, 8 values"):
        loaded.encode(text=TEXTS, truncate_dim=16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"truncate_dim": 64}, "vectors of 32 values cannot be cut to 64; choose 1 to 32"),
        ({"truncate_dim": 0}, "cannot be cut to 0"),
        ({"precision": "int4"}, "precision='int4'"),
        ({"precision": "binary", "truncate_dim": 12}, "multiple of 8 values, not 12"),
        ({"precision": "int8", "ranges": torch.zeros(2, 3)}, r"ranges must be \(2, 32\)"),
    ],
)
def test_forms_that_vectors_cannot_have(model, options, message):
    with pytest.raises(ValueError, match=message):
        model.encode(text=TEXTS, **options)


@pytest.mark.parametrize("name", ["text", "image", "audio"])
def test_tokens_are_the_projected_tokens_of_the_encoder(model, name):
    items = {
        "text": TEXTS,
        "image": list(map(Image.fromarray, PICTURES)),
        "audio": [(sound, 16000) for sound in SOUNDS],
    }[name]
    found = model.encode(tokens=True, batch_size=3, **{name: items})
    pooled = model.encode(**{name: items})
    assert len(found) == len(items)
    projection = model.backbone.encoder.projections[name]
    for item, tokens, vector in zip(items, found, pooled, strict=True):
        sample = model.processors[name](item)
        assert len(tokens) == sample.length + 1  # with CLS
        inputs = {name: model.processors[name].collate([sample])}
        (features,), _ = model.backbone(inputs, [ForwardPass((name,))])
        expected = torch.nn.functional.linear(features.tokens[name][0], projection.weight, projection.bias)
        torch.testing.assert_close(tokens, torch.nn.functional.normalize(expected, dim=-1), **CLOSE)
        torch.testing.assert_close(tokens[0], vector, **CLOSE)
    assert torch.equal(
        model.encode(tokens=True, **{name: items[0]}), model.encode(tokens=True, **{name: items[:1]})[0]
    )


def test_tokens_of_several_modalities(model):
    texts, pictures = (model.encode(tokens=True, **side) for side in ({"text": TEXTS}, {"image": PICTURES}))
    both = model.encode(tokens=True, text=TEXTS, image=PICTURES, fuse="sum")
    joint = model.encode(tokens=True, text=TEXTS, image=PICTURES, fuse="joint")
    for text, picture, two, one in zip(texts, pictures, both, joint, strict=True):
        torch.testing.assert_close(two, torch.cat([text, picture]), **CLOSE)
        assert one.shape == two.shape
        assert (one - two).abs().max() > 1e-3


def test_token_vectors_are_cut_and_compared_by_maxsim(model):
    model.backbone.add_matryoshka_dims([model.dim, 8])
    texts = model.encode(tokens=True, truncate_dim=8, text=TEXTS)
    pictures = model.encode(tokens=True, truncate_dim=8, image=PICTURES[:2])
    scores = model.maxsim(texts, pictures)
    assert scores.shape == (4, 2)
    torch.testing.assert_close(scores[1, 0], (texts[1] @ pictures[0].T).amax(1).mean())
    packed = model.encode(tokens=True, precision="ubinary", text=TEXTS)
    assert {(row.dtype, row.shape[1]) for row in packed} == {(torch.uint8, model.dim // 8)}
