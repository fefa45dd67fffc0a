"""Codes of sentence-transformers, what they lose, and what is refused."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from onepeace_pl import OnePeace
from onepeace_pl.errors import UserError
from onepeace_pl.hub import Precision, dequantize_embeddings, quantize_embeddings


def unit(count: int, width: int = 64, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(count, width, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_calibrated_codes_are_those_of_sentence_transformers() -> None:
    vectors = unit(50)
    low, high = vectors.numpy().min(0), vectors.numpy().max(0)
    levels = (vectors.numpy() - low) / ((high - low) / 255)
    for precision, expected in (
        ("uint8", levels.astype(np.uint8)),
        ("int8", (levels - 128).astype(np.int8)),
        ("ubinary", np.packbits(vectors.numpy() > 0).reshape(50, -1)),
        ("binary", (np.packbits(vectors.numpy() > 0).reshape(50, -1) - 128).astype(np.int8)),
    ):
        found = quantize_embeddings(vectors, precision, calibration_embeddings=vectors)  # type: ignore[arg-type]
        assert found.numpy().dtype == expected.dtype
        # they truncate a negative int8 level towards zero, a level above that of a uint8
        assert np.abs(found.numpy().astype(int) - expected).max() <= (precision == "int8"), precision
    signed, unsigned = (
        quantize_embeddings(vectors, name, calibration_embeddings=vectors) for name in ("int8", "uint8")
    )
    assert torch.equal(signed.short() + 128, unsigned.short())


@pytest.mark.parametrize("precision", ["int8", "uint8"])
@pytest.mark.parametrize("width", [8, 64, 256])
def test_a_level_is_at_most_half_a_step_off(precision: Precision, width: int) -> None:
    vectors = unit(200, width)
    back = dequantize_embeddings(quantize_embeddings(vectors, precision), precision)
    step = 2 * min(1, 5 / width**0.5) / 255
    assert (back - vectors).abs().max() <= step / 2 * 1.001
    own = torch.stack([vectors.amin(0), vectors.amax(0)])
    back = dequantize_embeddings(quantize_embeddings(vectors, precision, own), precision, own)
    assert ((back - vectors).abs() <= (own[1] - own[0]) / 255 / 2 * 1.001).all()


def test_values_outside_the_ranges_are_clipped() -> None:
    ranges = torch.tensor([[-0.1], [0.1]]).expand(2, 64)
    vectors = torch.tensor([[-0.9, 0.9, 0.0, 0.05]]).repeat(1, 16)
    codes = quantize_embeddings(vectors, "uint8", ranges)
    assert codes[0, :4].tolist() == [0, 255, 127, 191]


@pytest.mark.parametrize("precision", ["binary", "ubinary"])
def test_binary_similarity_is_the_hamming_distance(precision: Precision) -> None:
    a, b = unit(5), unit(7, seed=1)
    packed = [quantize_embeddings(side, precision) for side in (a, b)]
    assert packed[0].shape == (5, 8)
    differ = ((a > 0)[:, None] != (b > 0)).sum(-1)
    torch.testing.assert_close(OnePeace.similarity(*packed, precision), 1 - 2 * differ / 64)
    signs = (b > 0) * 2.0 - 1
    torch.testing.assert_close(OnePeace.similarity(a, packed[1], precision), a @ signs.T / 8)


def test_int8_similarity_is_nearly_the_cosine() -> None:
    a, b = unit(20), unit(30, seed=1)
    for ranges in (None, torch.stack([torch.cat([a, b]).amin(0), torch.cat([a, b]).amax(0)])):
        codes = [quantize_embeddings(side, "int8", ranges) for side in (a, b)]
        assert codes[0].dtype == torch.int8
        found = OnePeace.similarity(*codes, "int8", ranges)
        torch.testing.assert_close(found, a @ b.T, atol=1e-2, rtol=0)
        assert OnePeace.similarity(codes[0][0], codes[1], "int8", ranges).shape == (1, 30)


def test_a_code_does_not_depend_on_other_vectors() -> None:
    vectors = unit(9)
    for precision in ("int8", "uint8", "binary", "ubinary"):
        whole = quantize_embeddings(vectors, precision)  # type: ignore[arg-type]
        assert torch.equal(whole[3], quantize_embeddings(vectors[3], precision))  # type: ignore[arg-type]


def test_mistakes_are_named() -> None:
    vectors = unit(3)
    with pytest.raises(UserError, match="precision='int4': choose one of float32, int8"):
        quantize_embeddings(vectors, "int4")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="needs a multiple of 8 values, not 12"):
        quantize_embeddings(vectors[:, :12], "binary")
    with pytest.raises(UserError, match=r"ranges must be \(2, 64\)"):
        quantize_embeddings(vectors, "int8", torch.zeros(2, 32))
    with pytest.raises(UserError, match="calibrate with more vectors"):
        quantize_embeddings(vectors, "int8", calibration_embeddings=vectors[:1])
    with pytest.raises(
        UserError, match=r"torch.int8 are not of precision 'float32'; say precision='int8' or 'binary'"
    ):
        OnePeace.similarity(quantize_embeddings(vectors, "int8"), vectors)
    with pytest.raises(UserError, match="8 and 64 dimensions"):
        OnePeace.similarity(quantize_embeddings(vectors[:, :8], "int8"), vectors, "int8")
