import pickle
from pathlib import Path
from types import SimpleNamespace

import lightning as L
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onepeace_pl.callbacks import Report, Throughput
from onepeace_pl.data.source import Row, Source
from onepeace_pl.metrics import RetrievalMetric, RetrievalResult

N = 16


class Scenes(Source):
    """Sixteen coloured squares, each with a tone and a name."""

    modalities = ("image", "audio", "text")

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int) -> Row:
        image = np.full((8, 8, 3), 16 * index, dtype=np.uint8)
        tone = np.sin(np.arange(4000) * 0.05 * (index + 1)).astype(np.float32)
        return Row(str(index), {"image": image, "audio": (tone, 16000), "text": f"square number {index}"})


class Data(L.LightningDataModule):
    batch_size = 4
    train = Scenes()

    def evaluation_sets(self, split: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="toy", rows=self.train)]

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.arange(N).float()[:, None], batch_size=self.batch_size)

    val_dataloader = test_dataloader = train_dataloader


class Toy(L.LightningModule):
    """Fits one number, and retrieves with embeddings made up."""

    def __init__(self, stop_at: int = -1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(4.0))
        self.frozen = nn.Parameter(torch.zeros(5), requires_grad=False)
        self.stop_at = stop_at
        self.results: dict[str, RetrievalResult] = {}

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        if self.global_step == self.stop_at:
            raise RuntimeError("out of memory")
        loss = self.weight.square()
        self.log("train/denoise/image", 0.5 * loss)
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val/other", 0.25)

    def test_step(self, batch: Tensor, batch_idx: int) -> None:
        pass

    def on_validation_epoch_end(self) -> None:
        generator = torch.Generator().manual_seed(0)
        sound = F.normalize(torch.randn(N, 8, generator=generator), dim=1)
        image = F.normalize(sound + 0.3 * torch.randn(N, 8, generator=generator), dim=1)
        metric = RetrievalMetric(
            ["audio"],
            ["image"],
            name="toy",
            rows=N,
            optimum={"audio->image": {1: 0.9, 5: 1.0, 10: 1.0}},
            optimum_variants={"without rhythm": {"audio->image": {1: 0.8}}},
            groups=["novel" if i % 4 == 0 else "seen" for i in range(N)],
            factors={"kind": [i % 3 for i in range(N)]},
        )
        metric.update(sound, image, [str(i) for i in range(N)], torch.arange(N))
        self.results = {"toy": metric.compute()}

    on_test_epoch_end = on_validation_epoch_end

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD([self.weight], lr=0.05)


def trainer(folder: Path, **options) -> L.Trainer:
    return L.Trainer(
        max_epochs=3,
        accelerator="cpu",
        default_root_dir=folder,
        callbacks=[Report(), Throughput(every=2)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Toy, L.Trainer]:
    folder = tmp_path_factory.mktemp("runs") / "quickstart"
    module, fitting = Toy(), trainer(folder)
    fitting.fit(module, Data())
    return folder, module, fitting


def lines(page: Path) -> dict[str, list[str]]:
    """Rows of all tables by their first cell; of rows with the same first cell the first."""
    found: dict[str, list[str]] = {}
    for line in page.read_text().splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            found.setdefault(cells[0], cells[1:])
    return found


def test_the_page_says_what_was_run(fitted: tuple[Path, Toy, L.Trainer]) -> None:
    folder, _, _ = fitted
    page = lines(folder / "report.md")
    assert (folder / "report.md").read_text().startswith("# quickstart: fit\n")
    assert "torch" in page["versions"][0]
    assert page["parameters"] == ["6, 1 trainable"]
    assert page["training"] == ["12 updates, 48 samples, 3 epochs"]
    assert "Scenes of 16 rows with image, audio, text" in page["data"][0]
    assert float(page["samples/s"][0].replace(",", "")) > 0


def test_the_page_says_how_losses_went(fitted: tuple[Path, Toy, L.Trainer]) -> None:
    folder, module, _ = fitted
    page = lines(folder / "report.md")
    assert page["loss"][0] == "16.000"
    before_last = module.weight.item() / (1 - 0.05 * 2)
    assert float(page["loss"][1]) == pytest.approx(before_last**2, abs=1e-3)
    assert float(page["denoise/image"][0]) == pytest.approx(8)
    assert page["val/other"] == ["0.2500"]


def test_recalls_stand_beside_chance_and_optimum(fitted: tuple[Path, Toy, L.Trainer]) -> None:
    folder, module, _ = fitted
    page = lines(folder / "report.md")
    direction = module.results["toy"].directions["audio->image"]
    shown = [(direction.recall[k], direction.interval(k)) for k in (1, 5, 10)]
    assert page["**result**"] == [
        *(f"**{recall:.3f}** [{by.low:.3f}, {by.high:.3f}]" for recall, by in shown),
        f"{direction.median_rank:g}",
        f"{direction.ndcg:.3f}",
    ]
    assert page["chance"] == ["0.062", "0.312", "0.625", "", ""]
    assert page["optimum"] == ["0.900", "1.000", "1.000", "", ""]
    assert page["% of optimum"][0] == f"{100 * direction.recall[1] / 0.9:.0f} %"
    assert page["optimum without rhythm"] == ["0.800", "", "", "", ""]
    short = page["toy: audio → image"]
    assert short[:3] == [f"**{direction.recall[1]:.3f}**", "0.062", "0.900"]
    assert page["toy: image → audio"][2:4] == ["", ""]
    assert page["novel only (4)"][0] == f"{direction.groups['novel'].recall[1]:.3f}"
    assert page["kind"][0].startswith(f"{direction.factors['kind'].accuracy:.3f} (")


def test_pictures_are_drawn_and_linked(fitted: tuple[Path, Toy, L.Trainer]) -> None:
    from PIL import Image

    folder, _, _ = fitted
    text = (folder / "report.md").read_text()
    for name in ("curves.png", "gallery.png"):
        assert f"({name})" in text
        picture = np.asarray(Image.open(folder / name).convert("RGB"))
        assert picture.std() > 5  # not blank


def test_speed_is_logged(fitted: tuple[Path, Toy, L.Trainer]) -> None:
    _, _, fitting = fitted
    assert fitting.callback_metrics["samples/s"] > 0


def test_validate_and_test_leave_the_report_of_the_training(tmp_path: Path) -> None:
    module = Toy()
    trainer(tmp_path).validate(module, Data(), verbose=False)
    trainer(tmp_path).test(module, Data(), verbose=False)
    assert {path.name for path in tmp_path.glob("*.*")} == {
        "report-validate.md",
        "gallery-validate.png",
        "report-test.md",
        "gallery-test.png",
    }
    assert "training" not in lines(tmp_path / "report-validate.md")


def test_a_run_that_breaks_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        trainer(tmp_path).fit(Toy(stop_at=6), Data())
    assert "**stopped early by RuntimeError: out of memory**" in (tmp_path / "report.md").read_text()


def test_a_run_that_goes_on_has_one_report(fitted: tuple[Path, Toy, L.Trainer], tmp_path: Path) -> None:
    _, _, first = fitted
    state = first.callbacks[0].state_dict()
    going_on = trainer(tmp_path)
    going_on.callbacks[0].load_state_dict(pickle.loads(pickle.dumps(state)))
    going_on.fit(Toy(), Data())
    assert lines(tmp_path / "report.md")["training"][0].startswith("12 updates, 96 samples")
    steps = going_on.callbacks[0].history.losses["loss"].steps
    assert len(steps) == 24


def test_a_module_without_retrieval_has_a_page_too(tmp_path: Path) -> None:
    module = Toy()
    module.on_validation_epoch_end = lambda: None  # type: ignore[method-assign]
    trainer(tmp_path).fit(module, Data())
    assert "Retrieval" not in (tmp_path / "report.md").read_text()
    assert not (tmp_path / "gallery.png").exists()
