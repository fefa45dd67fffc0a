"""The model folder that a run leaves, and what is found out before training."""

from types import SimpleNamespace
from typing import Any

import pytest

from onepeace_pl.callbacks.model_folder import ModelFolder
from onepeace_pl.modalities import Processor
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
