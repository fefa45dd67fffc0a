"""consolidate: shards become a checkpoint that one process can resume from, and convert."""

from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp

from onepeace_pl import OnePeace
from onepeace_pl.backbone import from_preset
from onepeace_pl.cli import main as cli

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's about a missing process group


def sharded(folder: Path) -> torch.nn.Module:
    """Write what Lightning's sharded strategies write: state by name, the rest beside it."""
    torch.manual_seed(0)
    backbone = from_preset("debug", ["image"], decoder=False)
    state = {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}
    groups = [{"lr": 0.1, "params": list(state)[:3]}, {"lr": 0.2, "params": list(state)[3:]}]
    moments = {name: {"step": torch.tensor(2.0), "exp_avg": tensor + 1} for name, tensor in state.items()}
    dcp.save(
        {"state_dict": state, "optimizer_0": {"state": moments, "param_groups": groups}}, checkpoint_id=folder
    )
    torch.save({"epoch": 3, "global_step": 7, "hyper_parameters": {}}, folder / "meta.pt")
    return backbone


def test_one_file_of_shards(tmp_path, capsys):
    backbone = sharded(Path("step.ckpt"))
    assert cli(["consolidate", "step.ckpt"]) == 0
    whole = torch.load("step.whole.ckpt", weights_only=True)
    assert whole["epoch"] == 3
    (optimiser,) = whole["optimizer_states"]
    assert [len(group["params"]) for group in optimiser["param_groups"]] == [3, len(whole["state_dict"]) - 3]
    parameters = [torch.nn.Parameter(tensor) for tensor in whole["state_dict"].values()]
    adam = torch.optim.AdamW([{"params": parameters[:3]}, {"params": parameters[3:]}])
    adam.load_state_dict(optimiser)
    assert torch.equal(adam.state[parameters[4]]["exp_avg"], parameters[4] + 1)
    assert cli(["convert", "step.whole.ckpt", "--to", "m"]) == 0
    found = OnePeace.from_pretrained("m", device="cpu").backbone.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in backbone.state_dict().items())


def test_refusals(capsys):
    Path("plain").mkdir()
    sharded(Path("step.ckpt"))
    next(Path("step.ckpt").glob("*.distcp")).unlink()
    Path("there").touch()
    for words, message in (
        (["nothing"], "no folder nothing"),
        (["plain"], "is no sharded checkpoint"),
        (["step.ckpt", "--to", "there"], "there exists already"),
        (["step.ckpt"], "a shard is missing or damaged"),
    ):
        assert cli(["consolidate", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    assert cli(["convert", "step.ckpt", "--to", "m"]) == 2
