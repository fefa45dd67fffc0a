"""The model folder that a run leaves, and what is found out before training."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from onepeace_pl.callbacks.model_folder import ModelFolder
from onepeace_pl.hub.folder import load_folder, save_folder
from onepeace_pl.modalities import Processor
from onepeace_pl.modalities.processors import ImageProcessor, TextProcessor
from onepeace_pl.modalities.tokenizer import Tokenizer
from tests.unit.samples import Touch, make


class Secretive(Processor):
    def __init__(self, rate: int = 1) -> None:
        pass

    def __call__(self, raw: Any, **_: Any) -> Any: ...

    def collate(self, samples: Any) -> Any: ...


class Forgetful(Touch):
    def __init__(self, config: Any, rate: int = 1) -> None:
        super().__init__(config)


def start(adapter: type[Touch], processors: dict[str, Processor]) -> None:
    trainer = SimpleNamespace(datamodule=SimpleNamespace(processors=processors))
    module = SimpleNamespace(backbone=make(adapters={"touch": adapter}))
    ModelFolder().on_fit_start(trainer, module)  # type: ignore[arg-type]


def test_what_could_not_be_saved_is_told_before_training() -> None:
    start(Touch, {"smell": Secretive()})  # not the backbone's, so not saved
    with pytest.raises(TypeError, match="Forgetful does not keep its option 'rate'"):
        start(Forgetful, {})
    with pytest.raises(TypeError, match="Secretive does not keep its option 'rate'"):
        start(Touch, {"touch": Secretive()})


def test_processors_that_the_data_lacks_come_from_where_the_run_started(tmp_path: Path) -> None:
    backbone = make(("text", "image"))
    tokenizer = Tokenizer.train(["one two three"] * 3, 300)
    older = {"text": TextProcessor(tokenizer, max_tokens=9), "image": ImageProcessor(64)}
    save_folder(tmp_path / "older", backbone, older)

    def leave(init_from: str | None) -> dict[str, Processor]:
        module = SimpleNamespace(backbone=backbone, init_from=init_from, task=nn.Module(), describe_task=dict)
        trainer = SimpleNamespace(
            datamodule=SimpleNamespace(processors={"image": ImageProcessor(64)}),
            fast_dev_run=False,
            is_global_zero=True,
            default_root_dir=str(tmp_path / "run"),
            strategy=SimpleNamespace(barrier=lambda: None),
        )
        callback = ModelFolder()
        callback.on_fit_start(trainer, module)  # type: ignore[arg-type]
        callback.on_fit_end(trainer, module)  # type: ignore[arg-type]
        return load_folder(tmp_path / "run" / "model")[1]

    with pytest.warns(UserWarning, match=r"no preprocessing for text: .* add data\.processors\.text"):
        assert set(leave(None)) == {"image"}
    found = leave(str(tmp_path / "older"))
    assert list(found) == ["text", "image"]
    assert found["text"].max_tokens == 9
    assert found["text"].tokenizer == tokenizer
