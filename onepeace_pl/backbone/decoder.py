"""The decoder of the denoising objective, which reconstructs hidden tokens (paper, section 3.2).

Shapes: B batch, L tokens with the CLS token at index 0, K visible tokens, D encoder width, E decoder width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from onepeace_pl.backbone.encoder import Features, ForwardPass, join
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import Mask, ModalityAdapter, ModalityInput, Tokens
from onepeace_pl.modalities.adapter import first_rows
from onepeace_pl.nn import Transformer, TransformerConfig, resize_positions
from onepeace_pl.nn.init import reset_linear_, truncated_normal_
from onepeace_pl.nn.sequence import with_zero_grad


class DecoderAdapter(nn.Module):
    """Input and output layers of one modality in the decoder.

    Args:
        encoder: The encoder's config.
        config: The decoder's config.
        adapter: The modality's adapter; its positions are the decoder's too.
    """

    def __init__(
        self, encoder: TransformerConfig, config: TransformerConfig, adapter: ModalityAdapter
    ) -> None:
        super().__init__()
        self.grid, self.std, self.unused = adapter.decoder_grid, config.init_std, adapter.decoder_unused
        self.embed = nn.Linear(encoder.width, config.width)
        self.restore = nn.Linear(config.width, encoder.width)
        self.mask_token = nn.Parameter(torch.empty(1, config.width))
        self.position_table = nn.Parameter(torch.empty(adapter.decoder_positions, config.width))
        self.no_weight_decay = frozenset({"position_table", *self.unused})
        for name in self.unused:
            shape = (config.width,) if name == "cls_token" else (1, config.width)
            self.register_parameter(name, nn.Parameter(torch.empty(shape)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise in place."""
        for layer in (self.embed, self.restore):
            reset_linear_(layer, self.std)
        for name in ("mask_token", "position_table", *self.unused):
            truncated_normal_(getattr(self, name), self.std)

    def forward(self, visible: Tensor, mask: Mask, padding: Tensor | None, length: int) -> Tokens:
        """Scatter the encoder's visible tokens (B, K, D) among mask tokens -> (B, L, E)."""
        x = self.embed(visible)
        batch, _, width = x.shape
        # empty slots go to one more position after the end, which is then dropped
        place = mask.keep if mask.keep_padding is None else mask.keep.masked_fill(mask.keep_padding, length)
        full = self.mask_token.to(x.dtype).expand(batch, length + 1, width)
        x = full.scatter(1, place[..., None].expand(-1, -1, width), x)[:, :length]
        return Tokens(x + self._positions(length), padding, [], length)

    def _positions(self, length: int) -> Tensor:
        table: Tensor = self.position_table
        if self.grid is not None:
            table = resize_positions(table, self.grid)
        if length > len(table):
            raise UserError(
                f"{length} tokens are more than the decoder's {len(table)} positions; shorten the input"
            )
        return table[:length]


class Decoder(nn.Module):
    """A small transformer over visible tokens and mask tokens.

    Args:
        encoder: The encoder's config.
        config: The decoder's config.
        adapters: The encoder's adapters.
        hide_padding: Keep attention from padded tokens; the original does not.
    """

    def __init__(
        self,
        encoder: TransformerConfig,
        config: TransformerConfig,
        adapters: Mapping[str, ModalityAdapter],
        hide_padding: bool = True,
    ) -> None:
        super().__init__()
        self.hide_padding = hide_padding
        self.adapters = nn.ModuleDict({n: DecoderAdapter(encoder, config, a) for n, a in adapters.items()})
        self.transformer = Transformer(config, list(adapters))

    def adapter(self, name: str) -> DecoderAdapter:
        """Return the layers of a modality."""
        adapter = self.adapters[name]
        assert isinstance(adapter, DecoderAdapter)
        return adapter

    def forward(
        self,
        features: Sequence[Features],
        passes: Sequence[ForwardPass],
        inputs: Mapping[str, ModalityInput],
    ) -> list[dict[str, Tensor]]:
        """Reconstruct every position of student passes -> for each pass, by modality (B, L, D)."""
        joined = []
        for feature, forward_pass in zip(features, passes, strict=True):
            parts = {}
            for name, visible in feature.tokens.items():
                mask, length = (forward_pass.masks or {})[name], feature.lengths[name]
                padding = first_rows(inputs[name].padding, forward_pass.rows)
                parts[name] = self.adapters[name](visible, mask, padding, length)
            sequence = join(parts)
            joined.append(sequence if self.hide_padding else replace(sequence, key_padding=None))
        read = {name for feature in features for name in feature.tokens}
        unused = [adapter for name, adapter in self.adapters.items() if name not in read]
        if unused:
            joined[0] = replace(joined[0], tokens=with_zero_grad(joined[0].tokens, unused))
        outputs = self.transformer(joined)
        return [
            {s.name: self.adapter(s.name).restore(x[:, s.start : s.stop]) for s in sequence.segments}
            for x, sequence in zip(outputs, joined, strict=True)
        ]
