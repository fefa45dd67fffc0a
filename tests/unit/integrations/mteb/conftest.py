"""A small model folder. Tests of this folder need mteb."""

from pathlib import Path

import pytest

from onepeace_pl import OnePeace
from tests.unit.hub.conftest import make_model


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    return make_model().save_pretrained(tmp_path_factory.mktemp("run") / "model")


@pytest.fixture
def model(folder) -> OnePeace:
    return OnePeace.from_pretrained(folder, device="cpu")
