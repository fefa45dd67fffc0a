import pytest
import torch
from jsonargparse import ArgumentParser

from onepeace_pl.data.batches import Batch, Row, Source
from onepeace_pl.modalities.base import ModalityInput
from onepeace_pl.modalities.masking import build_mask


class Plain:
    """A user's source, without a base class or annotations."""

    modalities = ("text",)

    def __len__(self):
        return 3

    def __getitem__(self, i):
        return Row(str(i), {"text": "a dog"})


class Holder:
    def __init__(self, source: Source) -> None:
        self.source = source


@pytest.mark.parametrize(
    "path",
    [
        f"{__name__}.Plain",
        "onepeace_pl.triworld.TriWorldSource",
        "onepeace_pl.data.sources.FolderSource",
    ],
)
def test_a_source_can_be_named_in_a_config(path: str, tmp_path, monkeypatch) -> None:
    (tmp_path / "a.txt").write_text("a dog")
    options = {"path": str(tmp_path)} if path.endswith("FolderSource") else {}
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Holder, "data")
    config = parser.parse_object({"data": {"source": {"class_path": path, "init_args": options}}})
    source = parser.instantiate_classes(config).data.source
    assert isinstance(source, Source)
    assert "dog" in source[0].fields["text"] or len(source) > 3


def test_what_is_no_source_cannot() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Holder, "data")
    with pytest.raises(Exception, match="does not implement protocol Source"):
        parser.parse_object({"data": {"source": {"class_path": "torch.nn.Identity"}}})


def test_moving_a_batch_moves_what_the_model_computes_with() -> None:
    hidden = torch.tensor([[False, True, False], [False, False, True]])
    padding = torch.zeros(2, 3, dtype=torch.bool)
    batch = Batch(
        ids=["a", "b"],
        indices=torch.arange(2),
        epoch=0,
        inputs={"text": ModalityInput(torch.ones(2, 2), padding)},
        lengths={"text": torch.tensor([2, 2])},
        masks={"student": {"text": build_mask(hidden)}},
    )
    moved = batch.to("meta")
    assert len(moved) == 2
    assert moved.inputs["text"].values.is_meta
    assert moved.inputs["text"].padding is not None
    assert moved.inputs["text"].padding.is_meta
    assert moved.masks["student"]["text"].keep.is_meta
    assert moved.masks["student"]["text"].keep_padding is None
    assert not moved.lengths["text"].is_meta
    assert not moved.indices.is_meta
    assert not batch.inputs["text"].values.is_meta
