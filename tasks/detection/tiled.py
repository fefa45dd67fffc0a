"""Finds of a large picture, tile by tile.

Shapes: N finds, H and W height and width of the picture in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from onepeace_pl.dense.tiles import tiles

Finds = Mapping[str, Tensor]


def find_by_tiles(
    find: Callable[[Tensor], Finds],
    picture: Tensor,
    stored: tuple[int, int],
    tile: int,
    stride: int,
    overlap: float,
    most: int,
) -> dict[str, Tensor]:
    """Put together what is found in the tiles of a picture.

    What several tiles see is found several times: of finds of a class that overlap the best one stays. An object larger
    than a tile is found in parts.

    Args:
        find: Returns the finds of one tile (1, 3, h, w), in its pixels.
        picture: (1, 3, H, W).
        stored: Width and height of the picture as stored, in whose pixels finds are told.
        tile: Side of a tile.
        stride: From tile to tile.
        overlap: From which on a find is one of the same object.
        most: Greatest number of finds.
    """
    from torchvision.ops import batched_nms

    height, width = picture.shape[-2:]
    parts, places = [], []
    for top, left in tiles(height, width, tile, stride):
        parts.append(dict(find(picture[..., top : top + tile, left : left + tile])))
        places += [(top, left)] * len(parts[-1]["scores"])
        parts[-1]["boxes"] = parts[-1]["boxes"] + parts[-1]["boxes"].new_tensor([left, top, left, top])
    outlined = "masks" in parts[0]
    masks = [mask for part in parts for mask in part.pop("masks", ())]
    found = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    kept = batched_nms(found["boxes"].float(), found["scores"].float(), found["classes"], overlap)[:most]
    found = {name: values[kept] for name, values in found.items()}
    scale = [stored[0] / width, stored[1] / height]
    found["boxes"] = found["boxes"] * found["boxes"].new_tensor(scale * 2)
    if outlined:
        drawn = [_pasted(masks[n], places[n], (height, width), stored) for n in kept.tolist()]
        nothing = torch.zeros(0, stored[1], stored[0], dtype=torch.bool, device=picture.device)
        found["masks"] = torch.stack(drawn) if drawn else nothing
    return found


def _pasted(mask: Tensor, place: tuple[int, int], size: tuple[int, int], stored: tuple[int, int]) -> Tensor:
    """Return the mask of a tile as one of the picture as stored, (H, W) bool."""
    whole = torch.zeros(size, dtype=torch.bool, device=mask.device)
    whole[place[0] : place[0] + mask.shape[0], place[1] : place[1] + mask.shape[1]] = mask
    if stored == size[::-1]:
        return whole
    return F.interpolate(whole[None, None].float(), stored[::-1], mode="bilinear")[0, 0] > 0.5
