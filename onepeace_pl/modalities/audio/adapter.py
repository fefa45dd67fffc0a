"""The audio adapter: convolutional feature extractor and positions (paper, section 3.1).

Shapes: B batch, N samples at 16 kHz, T frames of 20 ms, C channels, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.adapter import ModalityAdapter
from onepeace_pl.modalities.audio.processor import FRONT_END, AudioProcessor
from onepeace_pl.nn import RelativeBias, SequenceBuckets, TransformerConfig
from onepeace_pl.nn.convolution import convolve
from onepeace_pl.nn.init import reset_linear_, truncated_normal_

RANDOM_SAMPLES = 32_000  # two seconds


class ExtractorConv(nn.Conv1d):
    """A bias-free convolution of the extractor, Kaiming-normal at the start."""

    def reset_parameters(self) -> None:
        """Initialise in place."""
        nn.init.kaiming_normal_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        """(B, T, C) -> (B, T', C'), channels last."""
        return convolve(input, self.weight, self.stride[0])


def extractor(channels: int) -> nn.Sequential:
    """Waveform (B, N, 1) -> (B, T, C): seven convolutions with LayerNorm and GELU."""
    layers: list[nn.Module] = []
    for i, (size, stride) in enumerate(FRONT_END):
        convolution = ExtractorConv(1 if i == 0 else channels, channels, size, stride, bias=False)
        layers.append(nn.Sequential(convolution, nn.LayerNorm(channels), nn.GELU()))
    return nn.Sequential(*layers)


class ConvPositions(nn.Module):
    """Convolutional positional embedding: grouped convolutions over the frames.

    Args:
        width: D.
        depth: Number of convolutions.
        reach: Their receptive field together in frames, divided among them.
        groups: Groups of channels.
        pre_norm: LayerNorm before the first convolution.
    """

    def __init__(self, width: int, depth: int, reach: int, groups: int, pre_norm: bool) -> None:
        super().__init__()
        if width % groups:
            raise UserError(
                f"width {width} is not a multiple of the {groups} groups of the positional convolutions"
            )
        size = max(3, reach // depth)
        self.pre_norm = nn.LayerNorm(width) if pre_norm else nn.Identity()
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width, width, size, padding=size // 2, groups=groups) for _ in range(depth)
        )
        self.excess = 1 - size % 2  # an even kernel makes one frame too many

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """(B, T, D) -> (B, T, D).

        Args:
            x: Frames.
            padding: (B, T) bool, True where a frame counts as zeros after the end; None for no padding.
        """
        x = self.pre_norm(x)
        width = x.shape[-1]
        for convolution in self.convolutions:
            x = x if padding is None else x.masked_fill(padding[..., None], 0.0)
            x = convolution(x.transpose(1, 2)).transpose(1, 2)
            x = x[:, : x.shape[1] - self.excess] if self.excess else x
            x = nn.functional.gelu(nn.functional.layer_norm(x, (width,)))
        return x


class AudioAdapter(ModalityAdapter):
    """Convolutional features of waveforms, 50 tokens a second.

    In training the padding after a clip changes its last frames, as in the original. In evaluation it does not, so
    that the embedding of a clip is the same whatever clips it is batched with.

    Args:
        config: Width, heads and switches of the encoder.
        channels: Channels C of the extractor.
        buckets: Relative position buckets in one direction.
        position_depth: Number of positional convolutions.
        position_reach: Their receptive field together, in frames.
        position_groups: Their groups of channels.
        position_pre_norm: LayerNorm before them (``conv_pos_pre_ln``).
        decoder_tokens: Rows of the decoder's table of learned positions.
        embedding_norm: LayerNorm on the embeddings before positions are added.
        shrink: Share of the gradient that reaches the embeddings.
        hide_padding: Keep padding out of the positional convolutions in evaluation; False lets it in, as the original.
    """

    no_weight_decay = frozenset({"cls_token"})
    unused = ("mask_embedding",)
    decoder_unused = ("cls_token", "mask_embedding")

    def __init__(
        self,
        config: TransformerConfig,
        channels: int = 512,
        buckets: int = 512,
        position_depth: int = 5,
        position_reach: int = 95,
        position_groups: int = 16,
        position_pre_norm: bool = False,
        decoder_tokens: int = 1026,
        embedding_norm: bool = False,
        shrink: float = 1.0,
        hide_padding: bool = True,
    ) -> None:
        bias = RelativeBias(SequenceBuckets(buckets), config.heads, config.bias_tables)
        super().__init__(config, None, bias, embedding_norm, shrink)
        self.hide_padding = hide_padding
        self.channels, self.buckets, self.decoder_tokens = channels, buckets, decoder_tokens
        self.position_depth, self.position_reach = position_depth, position_reach
        self.position_groups, self.position_pre_norm = position_groups, position_pre_norm
        self.extractor = extractor(channels)
        self.extractor_norm = nn.LayerNorm(channels)
        self.project = nn.Linear(channels, config.width)
        self.position_convolutions = ConvPositions(
            config.width, position_depth, position_reach, position_groups, position_pre_norm
        )
        self.cls_position = nn.Parameter(torch.empty(1, config.width))
        self.mask_embedding = nn.Parameter(torch.empty(1, config.width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place."""
        super().reset_parameters()
        reset_linear_(self.project, self.config.init_std)
        truncated_normal_(self.cls_position, self.config.init_std)
        truncated_normal_(self.mask_embedding, self.config.init_std)

    @property
    def decoder_positions(self) -> int:
        """Rows of the decoder's table of learned positions."""
        return self.decoder_tokens

    def stem(self, values: Tensor) -> Tensor:
        """Waveforms (B, N) -> (B, T, D)."""
        waves = values[:, :, None].to(self.project.weight.dtype)
        if self.config.activation_checkpointing != "none" and torch.is_grad_enabled():
            features = checkpoint(self.extractor, waves, use_reentrant=False)
        else:
            features = self.extractor(waves)
        projected: Tensor = self.project(self.extractor_norm(features))
        return projected

    def positions(self, contents: Tensor, keep: Tensor | None) -> Tensor:
        """Convolve the frames as if they were neighbours, also where only visible ones are left."""
        return self.padded_positions(contents, keep, None)

    def padded_positions(self, contents: Tensor, keep: Tensor | None, padding: Tensor | None) -> Tensor:
        """Convolve the frames; in evaluation padded ones are zero."""
        batch, _, width = contents.shape
        hidden = None if padding is None or self.training or not self.hide_padding else padding[:, 1:]
        return torch.cat(
            [
                self.cls_position.expand(batch, 1, width),
                self.position_convolutions(contents[:, 1:], hidden),
            ],
            dim=1,
        )

    def random_values(self, batch: int, generator: torch.Generator, share: float = 1.0) -> Tensor:
        """Random waveforms (B, N)."""
        return torch.randn(batch, round(share * RANDOM_SAMPLES), generator=generator)

    def default_processor(self) -> AudioProcessor:
        """Preprocessing of the released embedding interface."""
        return AudioProcessor()
