"""Model folders in sentence-transformers. Needs the extra ``sentence-transformers``."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from onepeace_pl import OnePeace
from onepeace_pl.errors import UserError
from onepeace_pl.hub import Calibration
from tests.unit.hub.conftest import TEXTS, make_model

pytest.importorskip("sentence_transformers", reason="needs the extra sentence-transformers")

from sentence_transformers import SentenceTransformer

from onepeace_pl.integrations.sentence_transformers import OnePeaceModule

rng = np.random.default_rng(0)
PICTURES = [rng.integers(0, 256, (20 + 5 * i, 30, 3), dtype=np.uint8) for i in range(4)]
SOUNDS = [rng.normal(size=16000 + 3000 * (i % 3)).astype(np.float32) for i in range(4)]
HEARD = [{"array": sound, "sampling_rate": 16000} for sound in SOUNDS]
CLOSE = {"atol": 1e-6, "rtol": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_model().save_pretrained(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def model(folder):
    return OnePeace.from_pretrained(folder, device="cpu")


@pytest.fixture(scope="module")
def loaded(folder):
    return SentenceTransformer(str(folder), trust_remote_code=True, device="cpu")


def same(found, expected):
    torch.testing.assert_close(torch.as_tensor(found), expected, **CLOSE)


def test_vectors_are_those_of_encode(model, loaded):
    assert loaded.get_embedding_dimension() == model.dim
    assert loaded.similarity_fn_name == "cosine"
    for batch_size in (1, 3, 32):
        same(loaded.encode(TEXTS, batch_size=batch_size), model.encode(text=TEXTS))
        same(loaded.encode(PICTURES, batch_size=batch_size), model.encode(image=PICTURES))
        same(loaded.encode(HEARD, batch_size=batch_size), model.encode(audio=SOUNDS))
    same(loaded.encode(TEXTS[0]), model.encode(text=TEXTS[0]))
    assert loaded.encode([]).shape == (0,)


def test_inputs_of_other_types(model, loaded, tmp_path):
    picture = Image.fromarray(PICTURES[0])
    picture.save(path := tmp_path / "a.png")
    expected = model.encode(image=[picture, picture])
    same(loaded.encode([picture, {"image": picture}]), expected)
    same(loaded.encode([str(path), str(path)]), expected)
    mixed_rates = [HEARD[0], {"array": SOUNDS[1].tolist(), "sampling_rate": 8000}]
    same(loaded.encode(mixed_rates), model.encode(audio=[SOUNDS[0], (SOUNDS[1], 8000)]))
    same(loaded.encode(TEXTS, prompt="a photo of "), model.encode(text=[f"a photo of {t}" for t in TEXTS]))


@pytest.mark.parametrize("fuse", [None, "sum", "joint"])
@pytest.mark.parametrize("names", [("text", "audio"), ("image", "text"), ("audio", "image", "text")])
def test_fused_modalities(model, loaded, names, fuse):
    columns = {"text": TEXTS, "image": PICTURES, "audio": HEARD}
    inputs = [dict(zip(names, row, strict=True)) for row in zip(*(columns[n] for n in names), strict=True)]
    options = {} if fuse is None else {"fuse": fuse}
    expected = model.encode(fuse=fuse, **{n: SOUNDS if n == "audio" else columns[n] for n in names})
    same(loaded.encode(inputs, **options), expected)
    assert tuple(sorted(names)) in loaded.modalities


def test_a_calibrated_folder(model, folder, tmp_path):
    plain = {"text": model.encode(text=TEXTS * 2), "image": model.encode(image=PICTURES * 2)}
    mine = OnePeace.from_pretrained(folder, "cpu")
    mine.calibration = Calibration.fit(plain)
    mine.save_pretrained(tmp_path)
    calibrated = SentenceTransformer(str(tmp_path), trust_remote_code=True, device="cpu")
    assert (mine.encode(text=TEXTS) - plain["text"][:4]).abs().max() > 1e-3
    same(calibrated.encode(TEXTS), mine.encode(text=TEXTS))
    same(calibrated.encode(TEXTS, calibrate=False), plain["text"][:4])
    calibrated.save_pretrained(str(tmp_path / "again"))
    for name in ("calibration.json", "calibration.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / name).read_bytes()


def test_options_of_the_library(model, loaded):
    vectors = model.encode(text=TEXTS)
    same(loaded.encode(TEXTS, truncate_dim=8), vectors[:, :8])
    whole = loaded.encode(TEXTS, precision="int8")
    assert whole.dtype == np.int8
    assert whole.shape == vectors.shape
    same(loaded.similarity(vectors, vectors), model.similarity(vectors, vectors))
    assert loaded.encode(TEXTS, convert_to_tensor=True).device == model.device


def test_saved_again_it_is_still_a_model_folder(model, folder, tmp_path):
    settings = {"prompts": {"query": "a photo of "}, "default_prompt_name": "query"}
    first = SentenceTransformer(str(folder), trust_remote_code=True, device="cpu", **settings)
    first.save_pretrained(str(tmp_path))
    for name in ("README.md", "config.json", "modules.json", "tokenizer.json", "model.safetensors"):
        # the library writes modules.json itself, without a newline at its end
        assert (tmp_path / name).read_bytes().rstrip() == (folder / name).read_bytes().rstrip(), name
    assert torch.equal(OnePeace.from_pretrained(tmp_path, "cpu").encode(text=TEXTS), model.encode(text=TEXTS))
    again = SentenceTransformer(str(tmp_path), trust_remote_code=True, device="cpu")
    assert again.prompts["query"] == "a photo of "
    same(again.encode(TEXTS), model.encode(text=[f"a photo of {t}" for t in TEXTS]))


def test_without_trust(model, folder, tmp_path):
    with pytest.raises(ValueError, match="trust_remote_code=True"):
        SentenceTransformer(str(folder), device="cpu")
    for module in (OnePeaceModule.load(folder), OnePeaceModule(model)):
        mine = SentenceTransformer(modules=[module], device="cpu")
        same(mine.encode(TEXTS), model.encode(text=TEXTS))
        mine.save_pretrained(str(tmp_path))
        assert (tmp_path / "README.md").read_bytes() == (folder / "README.md").read_bytes()


def test_trust_is_handed_on(model, folder, tmp_path):
    """A class outside the package is imported with the flag alone."""
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["processors"]["text"]["class_path"] = "tests.unit.integrations.shouting.Shouting"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="trust_remote_code=True"):
        OnePeaceModule.load(tmp_path)
    loud = SentenceTransformer(str(tmp_path), trust_remote_code=True, device="cpu")
    same(loud.encode(TEXTS), model.encode(text=[text.upper() for text in TEXTS]))


def test_type_of_weights(folder):
    for given in (torch.bfloat16, "bfloat16"):
        half = SentenceTransformer(
            str(folder), trust_remote_code=True, device="cpu", model_kwargs={"dtype": given}
        )
        assert half.dtype == torch.bfloat16
        assert half.encode(TEXTS).dtype == np.float32
    assert OnePeaceModule.load(folder, model_kwargs={"torch_dtype": "auto"}).onepeace.dtype == torch.float32


def test_mistakes(model, loaded, folder, tmp_path):
    with pytest.raises(ValueError, match="mixes multiple modalities"):
        loaded.encode([TEXTS[0], PICTURES[0]])
    with pytest.raises(ValueError, match=r"unrecognized modality keys: \['touch'\]"):
        loaded.encode([{"touch": [1.0]}])
    with pytest.raises(ValueError, match="does not use"):
        loaded.encode(TEXTS, resample=False)
    with pytest.raises(UserError, match="'max_length' is no option"):
        OnePeaceModule.load(folder, processor_kwargs={"max_length": 3})
    with pytest.raises(UserError, match="dtype='float17' is no dtype"):
        OnePeaceModule.load(folder, model_kwargs={"dtype": "float17"})
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        OnePeaceModule.load(tmp_path)
    touching = OnePeace(model.backbone, {"touch": model.processors["text"]})
    with pytest.raises(
        UserError, match="knows audio, image, text, video; the model has preprocessing for touch"
    ):
        OnePeaceModule(touching)
    loaded.train()
    with pytest.raises(UserError, match="cannot train"):
        loaded(loaded.preprocess(TEXTS))
    loaded.eval()
