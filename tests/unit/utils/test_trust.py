"""Files that travel name classes: no module of a stranger's is imported for them, whatever reads them."""

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.distributed.checkpoint as dcp
import yaml

from onepeace_pl import OnePeace
from onepeace_pl.backbone import Backbone, from_preset
from onepeace_pl.checkpoints.sharded import check_sharded
from onepeace_pl.cli import main
from onepeace_pl.hub import save_folder
from onepeace_pl.modalities import ImageProcessor, Processor
from onepeace_pl.utils import plugins
from onepeace_pl.utils.trust import find_class

STRANGER = "stranger.Thing"


@pytest.fixture(autouse=True)
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a module on the path that leaves a trace when it is imported; return the trace's path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code").mkdir()
    left = tmp_path / "trace"
    (tmp_path / "code/stranger.py").write_text(
        f"from pathlib import Path\nPath({str(left)!r}).touch()\n"
        "from onepeace_pl.modalities import ImageProcessor\n"
        "class Thing(ImageProcessor): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "code")
    monkeypatch.delitem(sys.modules, "stranger", raising=False)
    return left


def folder(path: str, adapter: str = "", processor: str = "") -> Path:
    """Write a model folder, then let its config name something else."""
    torch.manual_seed(0)
    place = save_folder(path, from_preset("debug", ["image"], decoder=False), {"image": ImageProcessor(64)})
    config = json.loads((place / "config.json").read_text())
    if adapter:
        config["backbone"]["adapters"]["image"]["class_path"] = adapter
    if processor:
        config["processors"]["image"]["class_path"] = processor
    (place / "config.json").write_text(json.dumps(config))
    return place


def checkpoint(path: str = "runs/x/checkpoints/last.ckpt", adapter: str = "") -> Path:
    backbone = from_preset("debug", ["image"], decoder=False)
    config = backbone.to_config()
    if adapter:
        config["adapters"]["image"]["class_path"] = adapter
    content = {
        "state_dict": {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()},
        "hyper_parameters": {
            "backbone": {"class_path": "onepeace_pl.backbone.Backbone", "init_args": config}
        },
    }
    Path(path).parent.mkdir(parents=True)
    torch.save(content, path)
    return Path(path)


def folder_way(*words: str) -> Callable[..., list[str]]:
    def make(class_path: str) -> list[str]:
        folder("m", adapter=class_path)
        return list(words)

    return make


def processor_way(*words: str) -> Callable[..., list[str]]:
    def make(class_path: str) -> list[str]:
        folder("m", processor=class_path)
        return list(words)

    return make


def of_checkpoint(class_path: str) -> list[str]:
    return ["convert", str(checkpoint(adapter=class_path)), "--to", "out"]


def of_a_runs_folder(class_path: str) -> list[str]:
    path = checkpoint()
    folder("runs/x/model", processor=class_path)
    return ["convert", str(path), "--to", "out"]


def of_a_runs_config(class_path: str) -> list[str]:
    path = checkpoint()
    config = {"data": {"init_args": {"processors": {"image": {"class_path": class_path}}}}}
    Path("runs/x/config.yaml").write_text(yaml.safe_dump(config))
    return ["convert", str(path), "--to", "out"]


CONVERTED: dict[str, Callable[[str], list[str]]] = {
    "embed, adapter": folder_way("embed", "m", "--image", "a.png"),
    "embed, processor": processor_way("embed", "m", "--image", "a.png"),
    "convert folder": folder_way("convert", "m", "--to", "out"),
    "convert folder, processor": processor_way("convert", "m", "--to", "out"),
    "convert larger": folder_way("convert", "m", "--to", "out", "--image-size", "96"),
    "convert back": folder_way("convert", "m", "--to", "out.pt"),
    "compare": folder_way("compare", "m", "m"),
    "convert checkpoint": of_checkpoint,
    "convert checkpoint, its run's folder": of_a_runs_folder,
    "convert checkpoint, its run's config": of_a_runs_config,
}


@pytest.mark.parametrize("way", CONVERTED)
def test_no_verb_imports_what_a_file_names(way: str, trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = CONVERTED[way](STRANGER)
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert STRANGER in line
    assert "--trust" in line
    assert not trace.exists()
    assert "stranger" not in sys.modules
    main([*words, "--trust"])  # an adapter it is not, but imported it is
    assert trace.exists()


@pytest.mark.parametrize(
    "class_path",
    [
        "os.system",
        "subprocess.Popen",
        "builtins.eval",
        "torch.Tensor",
        "math",
        "",
        ".x",
        "onepeace_pl.cli.main",
        "onepeace_pl.__main__.x",
        "onepeace_pl.hub.OnePeace",
        "onepeace_pl.utils.configurable.Configurable",
    ],
)
def test_what_is_no_part_of_a_model_is_refused(class_path: str) -> None:
    for options in ({"adapter": class_path or "x"}, {"processor": class_path or "x"}):
        place = folder("m", **options)
        for trust in (False, True):
            if trust and class_path == "onepeace_pl.__main__.x":
                continue  # whoever trusts that runs it
            with pytest.raises(ValueError, match=r"config\.json") as caught:
                OnePeace.from_pretrained(place, device="cpu", trust_remote_code=trust)
            assert "\n" not in str(caught.value)


def test_trusted_or_imported_already(trace: Path) -> None:
    place = folder("m", processor=STRANGER)
    with pytest.raises(
        ValueError, match=r"processor 'image': stranger\.Thing is neither .*trust_remote_code=True"
    ):
        OnePeace.from_pretrained(place, device="cpu")
    assert not trace.exists()
    model = OnePeace.from_pretrained(place, device="cpu", trust_remote_code=True)
    assert type(model.processors["image"]).__name__ == "Thing"
    OnePeace.from_pretrained(place, device="cpu")  # now that it is imported


def test_plugins_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = SimpleNamespace(name="x", value="stranger", dist=None, load=lambda: __import__("stranger"))
    monkeypatch.setattr(plugins, "entry_points", lambda group: [entry])
    plugins.load_plugins.cache_clear()
    try:
        assert find_class(STRANGER, Processor, "it").__name__ == "Thing"  # type: ignore[type-abstract]
    finally:
        plugins.load_plugins.cache_clear()


def test_a_description_of_ones_own_model_needs_no_trust() -> None:
    backbone = from_preset("debug", ["image"], decoder=False)
    assert Backbone.from_config(backbone.to_config()).to_config() == backbone.to_config()


CONFIGS = {
    "task": {"model": {"task": {"class_path": STRANGER}}},
    "adapter": {"model": {"backbone": {"adapters": {"image": {"class_path": STRANGER}}}}},
    "in short": {"model": {"task": STRANGER}},
    "data": {"data": {"class_path": STRANGER}},
    "callback": {"trainer": {"callbacks": [{"class_path": STRANGER}]}},
    "logger": {"trainer": {"logger": {"class_path": STRANGER}}},
    "optimizer": {"model": {"optimizer": {"class_path": STRANGER}}},
    "another file": {"config": "other.yaml"},
    "another file for a part": {"model": {"task": "other.yaml"}},
    "a command": {"model": {"optimizer": "os.system"}},
    "a program": {
        "trainer": {"callbacks": [{"class_path": "subprocess.Popen", "init_args": {"args": "true"}}]}
    },
}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_config_beside_a_checkpoint(name: str, trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = checkpoint()
    Path("runs/x/config.yaml").write_text(yaml.safe_dump(CONFIGS[name]))
    inner = (
        {"class_path": STRANGER} if name.endswith("part") else {"model": {"task": {"class_path": STRANGER}}}
    )
    Path("runs/x/other.yaml").write_text(yaml.safe_dump(inner))
    assert main(["validate", "--ckpt_path", str(path)]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert not trace.exists()
    if name.startswith("a "):
        assert "os.system" in line or "subprocess.Popen" in line
    else:
        assert STRANGER in line
    assert "--trust" in line
    if name == "task":
        main(["validate", "--ckpt_path", str(path), "--trust"])
        assert trace.exists()


class Evil:
    """Leaves a trace when it is unpickled."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.victim), "w")


def sharded(path: Path, plain: object = 0.1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {"state_dict": {"backbone.w": torch.ones(2)}, "optimizer_0": {"lr": plain}}
    dcp.save(state, checkpoint_id=path)
    torch.save({"epoch": 1}, path / "meta.pt")
    return path


@pytest.mark.filterwarnings("ignore")  # torch's about a missing process group
@pytest.mark.parametrize("place", [".metadata", "a shard", "meta.pt"])
def test_sharded_checkpoints(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    victim = tmp_path / "victim"
    path = sharded(Path("runs/x/checkpoints/last.ckpt"), Evil(victim) if place == "a shard" else 0.1)
    if place == ".metadata":
        (path / ".metadata").write_bytes(pickle.dumps(Evil(victim)))
    elif place == "meta.pt":
        torch.save({"a": Evil(victim)}, path / "meta.pt")
    assert main(["consolidate", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "a pickle can run code" in line
    if place != "meta.pt":  # which torch itself reads without code
        Path("runs/x/config.yaml").write_text("{}")
        with pytest.raises(ValueError, match="a pickle can run code"):
            check_sharded(path)
    assert not victim.exists()


@pytest.mark.filterwarnings("ignore")
def test_sharded_checkpoints_that_are_damaged() -> None:
    path = sharded(Path("last.ckpt"))
    check_sharded(path)
    whole = (path / ".metadata").read_bytes()
    for content in (b"", whole[:40], b"hello", pickle.dumps({"a": 1})):
        (path / ".metadata").write_bytes(content)
        with pytest.raises(ValueError, match=r"last\.ckpt") as caught:
            check_sharded(path)
        assert "\n" not in str(caught.value)
