"""The encoder can be exported, with a batch of any size, and gives the same embeddings."""

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, export

from onepeace_pl.backbone import Backbone
from onepeace_pl.backbone.build import from_preset
from onepeace_pl.modalities import ModalityInput


class Embedder(nn.Module):
    """One modality's unit vectors (B, D), of plain tensors."""

    def __init__(self, backbone: Backbone, modality: str) -> None:
        super().__init__()
        self.backbone, self.modality = backbone, modality

    def forward(self, values: Tensor, padding: Tensor | None) -> Tensor:
        return self.backbone.embed({self.modality: ModalityInput(values, padding)})[self.modality]


def text(batch: int) -> tuple[Tensor, Tensor]:
    ids = torch.randint(4, 700, (batch, 11), generator=torch.Generator().manual_seed(batch))
    padding = torch.arange(12) >= 4 + torch.arange(batch)[:, None] % 8
    return ids.masked_fill(padding[:, 1:], 1), padding


def image(batch: int) -> tuple[Tensor, None]:
    return torch.randn(batch, 3, 64, 64, generator=torch.Generator().manual_seed(batch)), None


@pytest.mark.parametrize("used_before", [False, True])
@pytest.mark.parametrize(("modality", "inputs"), [("text", text), ("image", image)])
def test_export_with_a_dynamic_batch(modality, inputs, used_before):
    torch.manual_seed(0)
    backbone = from_preset("debug", ("text", "image"), decoder=False).eval()
    for table in backbone.encoder.adapter(modality).bias.tables:
        nn.init.normal_(table)
    model = Embedder(backbone, modality)
    values, padding = inputs(3)
    batch = Dim("batch", min=2, max=512)
    shapes = ({0: batch}, None if padding is None else {0: batch})
    with torch.no_grad():
        if used_before:
            model(values, padding)
        exported = export(model, (values, padding), dynamic_shapes=shapes).module()
        for size in (2, 3, 40):  # of 40, eager mode makes sub-batches of similar length
            example = inputs(size)
            torch.testing.assert_close(exported(*example), model(*example), rtol=1e-4, atol=1e-5)
