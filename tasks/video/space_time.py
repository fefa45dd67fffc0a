"""The backbone's blocks with adapters for space and time around them (AIM, arXiv 2302.03024; docs/reference/tasks.md).

Tokens are kept frame by frame, (B T, L, D), which is the layout of spatial attention; for temporal attention they are
rearranged place by place, (B L, T, D). Each is one call of the block's own attention.

Shapes: B clips, T frames, L tokens of a frame with the CLS token at index 0, D width, H heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onepeace_pl.backbone.encoder import Encoder
from onepeace_pl.backbone.parallel import check_whole
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import ModalityInput, View
from onepeace_pl.nn import Segment
from onepeace_pl.nn.checkpointing import checkpointed
from onepeace_pl.nn.residual import add_scaled, keep_factor
from onepeace_pl.nn.transformer import Block
from onepeace_pl.tasks.video.bottleneck import Bottleneck


class SpaceTimeLayer(nn.Module):
    """The three adapters of one block, at first without effect.

    Args:
        width: Size D of a token.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.time = Bottleneck(width)
        self.space = Bottleneck(width, skip=True)
        self.feed_forward = Bottleneck(width)

    def forward(self, block: Block, x: Tensor, modality: str, frames: int, bias: Tensor | None) -> Tensor:
        """Run a block with the adapters around it.

        Temporal attention changes only the input of spatial attention; the residual is the original input. Stochastic
        depth draws for each frame, at the block's rate.

        Args:
            block: Block of the backbone.
            x: (B T, L, D).
            modality: Modality of the frames.
            frames: Number of frames T.
            bias: (1, H, L, L) over space, or None.

        Returns:
            (B T, L, D).
        """
        segments = [Segment(modality, 0, x.shape[1])]

        def kept(branch: Tensor) -> Tensor:
            rate = block.drop_path if self.training else 0.0
            return branch * keep_factor(branch, rate) if rate else branch

        normed = swap(block.attention_norm(x, segments), frames)
        over_time = self.time(block.dropout(block.attention.attend(normed, modality)))
        z = x + kept(swap(over_time, x.shape[1]))
        over_space = block.dropout(block.attention.attend(block.attention_norm(z, segments), modality, bias))
        x = add_scaled(x, kept(self.space(over_space)), block.attention_scale)
        normed = block.feed_forward_norm(x)
        fed = block.dropout(block.feed_forward(normed, segments))
        beside = kept(0.5 * self.feed_forward(normed))
        return add_scaled(x, fed, block.feed_forward_scale) + beside


class SpaceTime(nn.Module):
    """Encodes clips with a backbone of single images.

    Args:
        width: Size D of a token.
        depth: Number of the backbone's blocks.
        frames: Frames T of a clip.
        lr_scale: Factor of the learning rate of the adapters and the temporal embedding.
    """

    no_weight_decay = frozenset({"temporal_embedding"})

    def __init__(self, width: int, depth: int, frames: int, lr_scale: float = 1.0) -> None:
        super().__init__()
        self.frames, self.lr_scale = frames, lr_scale
        self.temporal_embedding = nn.Parameter(torch.empty(1, frames, width))
        self.layers = nn.ModuleList(SpaceTimeLayer(width) for _ in range(depth))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise the temporal embedding in place."""
        nn.init.zeros_(self.temporal_embedding)

    def forward(self, encoder: Encoder, clips: ModalityInput, modality: str) -> Tensor:
        """Return the tokens of all frames after the last block, (B T, L, D).

        Args:
            encoder: The encoder, not sharded: its blocks run piece by piece.
            clips: (B T, ...) frames, clip by clip.
            modality: Modality of the frames.

        Raises:
            UserError: Frames are padded, or the encoder is sharded.
        """
        check_whole(encoder, "space-time adapters")
        (tokens,) = encoder.adapter(modality)(clips, [View()])
        if tokens.padding is not None:
            raise UserError(f"frames of {modality} differ in length; give frames of one length")
        each, bias = tokens.embeddings, tokens.bias
        clip_by_clip = each.reshape(-1, self.frames, *each.shape[1:])
        x: Tensor = (clip_by_clip + self.temporal_embedding[:, :, None]).flatten(0, 1)
        encoder.transformer.choose_checkpointing([x.flatten(0, 1)])
        for number, (block, layer) in enumerate(zip(encoder.transformer.blocks, self.layers, strict=True)):
            here = bias[number if len(bias) > 1 else 0] if bias else None
            given = (block, x, modality, self.frames, here)
            assert isinstance(block, Block)
            x = checkpointed(block.checkpointing if self.training else "none", layer, *given)
        return x


def swap(x: Tensor, inner: int) -> Tensor:
    """Turn (B N, M, D) into (B M, N, D), where N is ``inner``: frames to places, or places to frames."""
    return x.reshape(-1, inner, *x.shape[1:]).transpose(1, 2).flatten(0, 1)
