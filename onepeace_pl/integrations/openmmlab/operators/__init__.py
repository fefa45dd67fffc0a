"""Operators of ``mmcv._ext`` in torchvision and PyTorch, with its names and signatures."""

from collections.abc import Callable
from typing import Any, Final

from onepeace_pl.integrations.openmmlab.operators import attention, focal, nms, regions

OPERATORS: Final[dict[str, Callable[..., Any]]] = {
    operator.__name__: operator
    for operator in (
        nms.nms,
        nms.softnms,
        regions.roi_align_forward,
        regions.roi_align_backward,
        attention.ms_deform_attn_forward,
        attention.ms_deform_attn_backward,
        focal.sigmoid_focal_loss_forward,
        focal.sigmoid_focal_loss_backward,
    )
}
