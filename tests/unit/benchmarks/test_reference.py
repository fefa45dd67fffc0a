"""The plain implementation gives the losses and gradients of the backbone, so that timing compares like with like."""

import pytest

from onepeace_pl.benchmarks import reference_losses, workload
from onepeace_pl.benchmarks.reference import ReferenceModel
from onepeace_pl.checkpoints.names import to_official


@pytest.mark.parametrize("stage", [1, 2])
def test_equal_losses_and_gradients(stage):
    backbone = workload.build("debug", stage)
    backbone.decoder.hide_padding = False  # the original's decoder looks at padded tokens
    batch = workload.make_batch(backbone, stage, 3, seconds=0.3)
    model = ReferenceModel(backbone)
    ours, theirs = workload.loss(backbone, batch, stage, tile=16), reference_losses.loss(model, batch, stage)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    ours.backward()
    theirs.backward()
    mine = to_official({n: p.grad for n, p in backbone.named_parameters() if p.grad is not None})
    for name, weight in model.weights.items():
        if weight.grad is None or name not in mine:
            assert weight.grad is None or not weight.grad.any(), name
            assert name not in mine or not mine[name].any(), name
        else:
            # sums over the batch are rounded in proportion to their largest terms
            assert (mine[name] - weight.grad).norm() <= 1e-5 * weight.grad.norm() + 1e-6, name
