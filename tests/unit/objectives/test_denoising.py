import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.modalities.base import Mask
from onepeace_pl.objectives import DenoisingLoss
from onepeace_pl.objectives.denoising import Precision

B, L, D = 2, 5, 4
EMPTY = torch.zeros(0, dtype=torch.int64)


def case() -> tuple[Tensor, Tensor, Mask]:
    """Two samples; the second has one padded position. Hidden: 1 and 3 of the first, 2 of the second."""
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(B, L, D, generator=generator, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(B, L, D, generator=generator, dtype=torch.float64, requires_grad=True)
    mask = Mask(
        keep=torch.tensor([[0, 2, 4], [0, 1, 3]]),
        keep_padding=None,
        hidden=torch.tensor([1, 3, L + 2]),
        keys=torch.tensor([1, 2, 3, 4, L + 1, L + 2, L + 3]),
        targets=torch.tensor([0, 2, 5]),
    )
    return student, teacher, mask


def test_contrast_equals_the_formula() -> None:
    student, teacher, mask = case()
    found = DenoisingLoss()(student, teacher, mask)
    rows = [student[0, 1], student[0, 3], student[1, 2]]
    keys = F.normalize(torch.stack([*teacher[0, 1:], *teacher[1, 1:4]]), dim=1)
    log_p = (2.5 * F.normalize(torch.stack(rows), dim=1) @ keys.T).log_softmax(1)
    spread = 0.1 / 6
    expected = 0.0
    for j, k in enumerate((0, 2, 5)):
        expected = expected + (1 - 0.1 - spread) * -log_p[j, k] + spread * -log_p[j].sum()
    torch.testing.assert_close(found.loss, torch.as_tensor(expected / 3))
    hits = (log_p.argmax(1) == mask.targets).double().mean()
    assert found.accuracy is not None
    assert found.accuracy.item() == pytest.approx(hits.item())


@pytest.mark.parametrize("kind", ["contrastive", "smooth_l1", "l2", "cosine"])
def test_gradient_reaches_only_the_students_hidden_tokens(kind: str) -> None:
    student, teacher, mask = case()
    DenoisingLoss(kind)(student, teacher, mask).loss.backward()  # type: ignore[arg-type]
    assert teacher.grad is None
    assert student.grad is not None
    touched = student.grad.abs().sum(2).flatten().nonzero()[:, 0]
    assert touched.tolist() == mask.hidden.tolist()


@pytest.mark.parametrize("kind", ["smooth_l1", "l2", "cosine"])
def test_regressions_compare_a_token_with_its_own_teacher(kind: str) -> None:
    student, _, mask = case()
    found = DenoisingLoss(kind)(student, student.detach(), mask)  # type: ignore[arg-type]
    assert found.loss.item() == pytest.approx(0, abs=1e-12)
    assert found.accuracy is None
    assert DenoisingLoss(kind)(student, -student.detach(), mask).loss > 0.5  # type: ignore[arg-type]


def test_values_of_the_regressions() -> None:
    student = torch.zeros(1, 2, 2)
    student[0, 1] = torch.tensor([3.0, 4.0])
    teacher = torch.zeros(1, 2, 2)
    teacher[0, 1] = torch.tensor([3.0, 0.0])
    mask = Mask(EMPTY[None], None, torch.tensor([1]), torch.tensor([1]), torch.tensor([0]))
    values = {
        kind: DenoisingLoss(kind)(student, teacher, mask).loss.item()
        for kind in ("smooth_l1", "l2", "cosine")
    }
    assert values == pytest.approx({"smooth_l1": 3.5 / 2, "l2": 16 / 2, "cosine": 1 - 0.6})


@pytest.mark.parametrize("kind", ["contrastive", "smooth_l1", "l2", "cosine"])
def test_nothing_hidden_is_zero_with_a_graph(kind: str) -> None:
    student, teacher, mask = case()
    mask.hidden = mask.targets = EMPTY
    found = DenoisingLoss(kind)(student, teacher, mask)  # type: ignore[arg-type]
    assert found.loss.item() == 0
    found.loss.backward()
    assert student.grad is not None
    assert student.grad.abs().sum() == 0


def test_bfloat16_features_are_normalised_in_float32() -> None:
    student, teacher, mask = case()
    found = DenoisingLoss()(student.bfloat16(), teacher.bfloat16(), mask)
    wide = DenoisingLoss()(student.bfloat16().double(), teacher.bfloat16().double(), mask)
    assert found.loss.dtype == torch.float32
    assert found.loss.item() == pytest.approx(wide.loss.item(), abs=1e-6)


def test_errors() -> None:
    with pytest.raises(ValueError, match="'mae'"):
        DenoisingLoss("mae")  # type: ignore[arg-type]
    student, teacher, mask = case()
    with pytest.raises(ValueError, match=r"\(2, 4, 4\)"):
        DenoisingLoss()(student, teacher[:, 1:], mask)


def test_products_in_the_precision_of_the_run() -> None:
    torch.manual_seed(0)
    teacher = torch.randn(B, L, 64)
    _, _, mask = case()

    def run(precision: Precision, dtype: torch.dtype, autocast: bool) -> tuple[Tensor, Tensor]:
        student = (teacher + torch.ones(64)).to(dtype).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = DenoisingLoss(precision=precision)(student, teacher.to(dtype), mask).loss
        loss.backward()
        assert student.grad is not None
        return loss.detach(), student.grad.float()

    assert all(map(torch.equal, run("run", torch.float32, False), run("float32", torch.float32, False)))
    for dtype, autocast in ((torch.bfloat16, False), (torch.float32, True)):
        narrow, wide = run("run", dtype, autocast), run("float32", dtype, autocast)
        assert narrow[0].dtype == torch.float32
        assert not torch.equal(narrow[0], wide[0])
        for a, b in zip(narrow, wide, strict=True):
            assert (a - b).norm() < 1e-2 * b.norm()
    with pytest.raises(ValueError, match="precision must be one of float32, run, not 'bf16'"):
        DenoisingLoss(precision="bf16")  # type: ignore[arg-type]
