"""The original's losses and step: whole matrices of logits, in the model's dtype, log-softmax in float32.

Shapes: B batch, L tokens with the CLS token at index 0, M hidden tokens, N real tokens of the batch, D width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.benchmarks.reference import ReferenceModel
from onepeace_pl.benchmarks.workload import STAGES, Workload
from onepeace_pl.modalities import Mask


def alignment(first: Tensor, second: Tensor, scale: Tensor) -> Tensor:
    """Contrast the rows of (B, D) and (B, D) in both directions against whole matrices of logits."""
    targets = torch.arange(first.shape[0], device=first.device)
    forth = _smoothed(scale * first @ second.detach().t(), targets, 0.0)
    back = _smoothed(scale * second @ first.detach().t(), targets, 0.0)
    return (forth + back) / 2


def denoising(student: Tensor, teacher: Tensor, mask: Mask) -> Tensor:
    """Compare hidden tokens of (B, L, D) with all real ones of (B, L, D) in one (M, N) matrix of logits."""
    hidden = F.normalize(student.flatten(0, 1)[mask.hidden].float(), dim=1).to(student.dtype)
    keys = F.normalize(teacher.detach().flatten(0, 1)[mask.keys].float(), dim=1).to(teacher.dtype)
    return _smoothed(2.5 * hidden @ keys.t(), mask.targets, 0.1)


def _smoothed(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    logs = F.log_softmax(logits.float(), dim=-1).to(logits.dtype)
    nll = -logs.gather(1, targets[:, None]).squeeze(1)
    if not smoothing:
        return nll.mean()
    share = smoothing / (logits.shape[1] - 1)
    return ((1 - smoothing - share) * nll - share * logs.sum(1)).mean()


def loss(model: ReferenceModel, work: Workload, stage: int) -> Tensor:
    """Run the original's step: one call of the model for each pass -> scalar."""
    plan, inputs = STAGES[stage], work.inputs
    tokens, units = {}, {}
    for name in plan.pair:
        with torch.set_grad_enabled(plan.learns[name]):
            own, unit = model.read({name: inputs[name]})
        tokens[name], units[name] = own[name], unit[name]
    with torch.no_grad():
        joint, _ = model.read({name: inputs[name] for name in plan.pair})
    first, second = plan.pair
    total = alignment(units[first], units[second], model.scale())
    for student, spec in plan.students.items():
        masks = work.masks[student]
        restored = model.restore({name: inputs[name] for name in spec.hide}, masks)
        for name, weight in spec.weights.items():
            teacher = (joint if spec.teacher == "joint" else tokens)[name]
            total = total + weight * denoising(restored[name], teacher, masks[name])
    return total
