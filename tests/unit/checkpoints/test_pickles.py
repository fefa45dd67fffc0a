"""Files that anybody may have made are read, and never run."""

import argparse
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from onepeace_pl.checkpoints.pickles import read_pickle


class Evil:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self):
        return open, (str(self.victim), "w")


class Deep(Evil):
    def __reduce__(self):
        return eval, (f"__import__('pathlib').Path({str(self.victim)!r}).touch()",)


class Options:
    """What a run may keep among its hyper-parameters."""

    def __init__(self, warmup: float) -> None:
        self.warmup = warmup

    def __setstate__(self, state):
        raise AssertionError("this is code, and must not run")


def writers():
    for protocol in (2, 3, 4, 5):
        yield f"pickle{protocol}", lambda x, p, k=protocol: p.write_bytes(pickle.dumps(x, protocol=k))
    yield "zip", lambda x, p: torch.save(x, p)
    yield "legacy", lambda x, p: torch.save(x, p, _use_new_zipfile_serialization=False)


WRITERS = dict(writers())


@pytest.mark.parametrize("kind", [Evil, Deep])
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("ending", [".pt", ".pkl"])
def test_code_is_refused_and_not_run(tmp_path, writer, kind, ending):
    path, victim = tmp_path / f"x{ending}", tmp_path / "victim"
    WRITERS[writer]({"model": {"w": torch.zeros(2), "bad": kind(victim)}}, path)
    with pytest.raises(ValueError, match="a pickle can run code") as caught:
        read_pickle(path)
    assert "\n" not in str(caught.value)
    assert not victim.exists()


@pytest.mark.parametrize("writer", WRITERS)
def test_tensors_of_every_kind(tmp_path, writer):
    table = torch.randn(4, 4)
    model = {
        "half": torch.randn(3).bfloat16(),
        "parameter": torch.nn.Parameter(torch.randn(2, 2)),
        "view": table[:, 1],
        "shared": table,
        "long": torch.arange(3),
        "scalar": torch.tensor(2.0),
    }
    WRITERS[writer]({"model": model, "__author__": "ofa"}, tmp_path / "x")
    content = read_pickle(tmp_path / "x")
    assert content["__author__"] == "ofa"
    for name, tensor in model.items():
        assert torch.equal(content["model"][name], tensor), name
        assert content["model"][name].dtype == tensor.dtype


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_become_tensors(tmp_path, protocol):
    model = {"c": np.random.rand(2, 3).astype("f4"), "f": np.asfortranarray(np.random.rand(2, 3))}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"model": model}, protocol=protocol))
    content = read_pickle(tmp_path / "x.pkl")
    for name, array in model.items():
        assert torch.equal(content["model"][name], torch.from_numpy(array.copy())), name


def test_what_trainers_leave_beside_the_weights(tmp_path):
    content = {"args": argparse.Namespace(lr=1), "best": np.float64(0.5), "options": Options(0.1)}
    torch.save(content, tmp_path / "x.pt")
    found = read_pickle(tmp_path / "x.pt")
    assert found["args"].lr == 1
    assert found["best"] == 0.5
    assert not isinstance(found["options"], Options)  # a stand-in, without any of its code
    assert vars(found["options"]) == {"warmup": 0.1}


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x80\x04", b"PK\x03\x04rest"], ids=["empty", "text", "short", "half zip"]
)
def test_no_checkpoint_is_one_line(tmp_path, content):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(ValueError, match="damaged, or no checkpoint") as caught:
        read_pickle(tmp_path / "x.pt")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_cut_short_is_one_line(tmp_path, writer):
    path = tmp_path / "x.pt"
    WRITERS[writer]({"model": {"w": torch.randn(1000)}}, path)
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.99):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ValueError, match="damaged, or no checkpoint") as caught:
            read_pickle(path)
        assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.pt"):
        read_pickle(tmp_path / "nothing.pt")
    with pytest.raises(ValueError, match="is a folder"):
        read_pickle(tmp_path)
