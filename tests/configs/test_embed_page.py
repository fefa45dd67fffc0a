"""docs/guide/embed.md: its examples, in their order."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from onepeace_pl import OnePeace
from onepeace_pl.cli import main
from tests.configs.pages import blocks, commands
from tests.unit.hub.conftest import make_model

PAGE = "docs/guide/embed.md"


@pytest.mark.filterwarnings("ignore:truncate_dim")
def test_every_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra `search`")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    make_model().save_pretrained("runs/quickstart_audio/model")
    Path("photos").mkdir()
    for name in ("photo.png", "photos/a.png", "photos/c.png"):
        Image.fromarray(rng.integers(0, 256, (50, 40, 3), dtype=np.uint8)).save(name)
    Path("photos/b.png").write_bytes(b"no image")
    soundfile.write("bell.flac", rng.normal(0, 0.1, 16000), 16000)
    found: dict = {}
    for words in commands(PAGE):
        assert main([*words, *([] if words[0] == "triworld" else ["--device", "cpu"])]) == 0, words
    start, read, faster, many, forms, weights = blocks(PAGE, "python")
    capsys.readouterr()
    exec(read)
    assert capsys.readouterr().out.startswith("80 fixed_size_list")
    exec(start, found)
    assert found["scores"].shape == (2, 1)
    with pytest.warns(UserWarning, match="1 of 3 items could not be read"):
        exec(many, found)
    assert [path.name for path in found["kept"]] == ["a.png", "c.png"]
    assert "photos/b.png" in capsys.readouterr().out
    exec(forms, found)
    assert found["short"].shape == (1, 16)
    exec(faster, found)
    assert OnePeace.from_pretrained("faster", "cpu").processors["image"].backend == "torch"
    exec(weights, found)
    assert "int8" in repr(found["small"])
