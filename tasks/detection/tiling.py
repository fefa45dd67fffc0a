"""Detection in large images, tile by tile.

Shapes: N detections, H and W height and width of the image in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.dense.tiles import tiles

Detections = Mapping[str, Tensor]


def detect_in_tiles(
    detect: Callable[[Tensor], Detections],
    image: Tensor,
    stored: tuple[int, int],
    tile: int,
    stride: int,
    nms_iou: float,
    max_detections: int,
) -> dict[str, Tensor]:
    """Merge the detections in the tiles of an image by NMS.

    An object larger than a tile is detected in parts.

    Args:
        detect: Returns the detections in one tile (1, 3, h, w), in its pixels.
        image: (1, 3, H, W).
        stored: Width and height of the image as stored, in whose pixels detections are returned.
        tile: Side of a tile.
        stride: Pixels from tile to tile.
        nms_iou: IoU above which the detection with the lower score is dropped.
        max_detections: Greatest number of detections.
    """
    from torchvision.ops import batched_nms

    height, width = image.shape[-2:]
    parts, places = [], []
    for top, left in tiles(height, width, tile, stride):
        parts.append(dict(detect(image[..., top : top + tile, left : left + tile])))
        places += [(top, left)] * len(parts[-1]["scores"])
        parts[-1]["boxes"] = parts[-1]["boxes"] + parts[-1]["boxes"].new_tensor([left, top, left, top])
    masked = "masks" in parts[0]
    masks = [mask for part in parts for mask in part.pop("masks", ())]
    merged = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    kept = batched_nms(merged["boxes"].float(), merged["scores"].float(), merged["classes"], nms_iou)
    kept = kept[:max_detections]
    merged = {name: values[kept] for name, values in merged.items()}
    scale = [stored[0] / width, stored[1] / height]
    merged["boxes"] = merged["boxes"] * merged["boxes"].new_tensor(scale * 2)
    if masked:
        pasted = [_pasted(masks[n], places[n], (height, width), stored) for n in kept.tolist()]
        none = torch.zeros(0, stored[1], stored[0], dtype=torch.bool, device=image.device)
        merged["masks"] = torch.stack(pasted) if pasted else none
    return merged


def _pasted(mask: Tensor, place: tuple[int, int], size: tuple[int, int], stored: tuple[int, int]) -> Tensor:
    """Return the mask of a tile as one of the image as stored, (H, W) bool."""
    whole = torch.zeros(size, dtype=torch.bool, device=mask.device)
    whole[place[0] : place[0] + mask.shape[0], place[1] : place[1] + mask.shape[1]] = mask
    if stored == size[::-1]:
        return whole
    return F.interpolate(whole[None, None].float(), stored[::-1], mode="bilinear")[0, 0] > 0.5
