"""Modality adapters: raw input -> tokens with positions and attention bias.

A new modality is a subclass that implements ``stem``, from raw values to token embeddings. CLS token, learnt
positions, relative bias and masking are inherited and may be overridden.

Shapes: B batch, L tokens with the CLS token at index 0, K visible tokens, D width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from onepeace_pl.errors import UserError
from onepeace_pl.modalities.base import Mask, ModalityInput, Processor, Tokens
from onepeace_pl.nn import RelativeBias, SequenceBuckets, TransformerConfig
from onepeace_pl.nn.init import truncated_normal_
from onepeace_pl.utils.configurable import Configurable


class View(NamedTuple):
    """One modality in one pass: masked or not, with gradient or not, which rows, how often repeated."""

    mask: Mask | None = None
    grad: bool = True
    rows: int | None = None  # the first so many samples; None for all
    repeat: int = 1  # each sample so often, one after the other


class ModalityAdapter(nn.Module, Configurable, ABC):
    """Base of all adapters.

    The constructor of a subclass takes the transformer's config first and then its own options, each kept as
    an attribute of the same name, so that `to_config` and `from_config` can save and rebuild it.

    Args:
        config: Width, heads and switches of the encoder.
        max_tokens: Longest sequence with the CLS token; None for no limit, without denoising.
        bias: Relative position bias; None for none.
        embedding_norm: LayerNorm on the token contents before positions are added.
        shrink: Share of the gradient that reaches the token contents; 1 for all.
        types: Number of zero-initialised type embeddings (NLVR2); input of kind k adds the first k + 1.

    Attributes:
        vocabulary: Number of token ids; None where raw values are no ids.
    """

    supplied_arguments = 1  # the transformer's config
    vocabulary: int | None = None
    no_weight_decay = frozenset({"cls_token"})
    # parameters of the original without any effect, kept for its checkpoints: here, and in the decoder
    unused: tuple[str, ...] = ()
    decoder_unused: tuple[str, ...] = ()

    def __init__(
        self,
        config: TransformerConfig,
        max_tokens: int | None = None,
        bias: RelativeBias | None = None,
        embedding_norm: bool = False,
        shrink: float = 1.0,
        types: int = 0,
    ) -> None:
        super().__init__()
        self.config, self.max_tokens = config, max_tokens
        self.embedding_norm, self.shrink, self.types = embedding_norm, shrink, types
        self.cls_token = nn.Parameter(torch.empty(config.width))
        self.norm = nn.LayerNorm(config.width) if embedding_norm else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.bias = bias if config.position_bias else None
        self.type_embeddings = nn.Parameter(torch.empty(types, config.width)) if types else None
        ModalityAdapter.reset_parameters(self)  # a subclass has none of its own parameters yet

    def reset_parameters(self) -> None:
        """Initialise in place the parameters that are this module's own; submodules have their own."""
        truncated_normal_(self.cls_token, self.config.init_std)
        if self.type_embeddings is not None:
            nn.init.zeros_(self.type_embeddings)

    @abstractmethod
    def stem(self, values: Tensor) -> Tensor:
        """Map raw values (B, ...) to token contents (B, L - 1, D) without CLS token and positions."""

    @abstractmethod
    def positions(self, contents: Tensor, keep: Tensor | None) -> Tensor:
        """Return positions (1 or B, L or K, D) for ``contents`` (B, L or K, D) with the CLS token at index 0.

        Args:
            contents: Token contents, the visible ones where ``keep`` is given.
            keep: (B, K) original positions of the visible tokens, None for all.
        """

    def padded_positions(self, contents: Tensor, keep: Tensor | None, padding: Tensor | None) -> Tensor:
        """Return :meth:`positions` where some contents are padding, which an adapter may have to keep out of them.

        Args:
            contents: See there.
            keep: See there.
            padding: (B, L or K) bool, True where padded; None where nothing is.
        """
        return self.positions(contents, keep)

    @property
    def decoder_grid(self) -> int | None:
        """Side of the patch grid, for a modality whose decoder positions are a grid; None for a sequence."""
        return None

    @property
    def decoder_positions(self) -> int:
        """Rows of the decoder's table of learned positions."""
        if self.max_tokens is None:
            raise UserError(
                f"{type(self).__name__} has no max_tokens, so the decoder has no positions for it; give it "
                "max_tokens, or train without denoising (denoising: none)"
            )
        return self.max_tokens

    def forward(self, inputs: ModalityInput, views: Sequence[View]) -> list[Tokens]:
        """Run the stem once and make the tokens of every view from it."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and any(view.grad for view in views)):
            contents = self.stem(inputs.values)
        self._check_shape(contents, inputs.padding)
        tokens = []
        for view in views:
            with torch.set_grad_enabled(torch.is_grad_enabled() and view.grad):
                part = contents if view.rows is None else contents[: view.rows]
                part = part if view.repeat == 1 else part.repeat_interleave(view.repeat, 0)
                tokens.append(self._view(part, inputs, view))
        return tokens

    def _check_shape(self, contents: Tensor, padding: Tensor | None) -> None:
        name, width = type(self).__name__, self.config.width
        if contents.dim() != 3 or contents.shape[2] != width:
            raise UserError(
                f"{name}: stem returns {tuple(contents.shape)}, not (batch, tokens without CLS, {width})"
            )
        length = contents.shape[1] + 1
        if self.max_tokens is not None and length > self.max_tokens:
            raise UserError(
                f"{name}: {length} tokens are more than the {self.max_tokens} it has positions for; "
                "shorten the input or raise max_tokens"
            )
        if padding is not None and padding.shape[1] != length:
            raise UserError(
                f"{name}: padding is for {padding.shape[1]} tokens, but with the CLS token there are {length}; "
                "let the processor's lengths count what the stem makes"
            )

    def _view(self, contents: Tensor, inputs: ModalityInput, view: View) -> Tokens:
        (batch, length, width), mask = contents.shape, view.mask
        x = torch.cat([self.cls_token.to(contents.dtype).expand(batch, 1, width), contents], dim=1)
        padding = first_rows(inputs.padding, view.rows)
        if padding is not None and view.repeat != 1:
            padding = padding.repeat_interleave(view.repeat, 0)
        keep = None if mask is None else mask.keep
        if mask is not None:
            x = x.gather(1, mask.keep[..., None].expand(-1, -1, width))
            padding = mask.keep_padding
        positions = self.padded_positions(x, keep, padding)
        x = self.norm(x)
        if self.shrink != 1.0:
            x = x * self.shrink + x.detach() * (1.0 - self.shrink)
        x = x + positions
        if self.type_embeddings is not None:
            x = x + self.type_embeddings[: inputs.kind + 1].sum(0)
        bias = [] if self.bias is None else self.bias(length + 1, keep)
        return Tokens(self.dropout(x), padding, bias, length + 1)

    def random_values(self, batch: int, generator: torch.Generator, share: float = 1.0) -> Tensor | None:
        """Return random raw values (B, ...), with which two models are compared; None where there are none.

        Args:
            batch: Number of inputs B.
            generator: Source of randomness.
            share: Share of the full length, for sequences.
        """
        return None

    def default_processor(self) -> Processor | None:
        """Return the processor of the released models, fitting this adapter; None where there is none."""
        return None

    def adapt(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Fit stored tensors of this adapter to its sizes: here, one bias table becomes one for each layer.

        Args:
            state: Tensors under this module's own parameter names.
        """
        state, prefix = dict(state), "bias.tables."
        if self.bias is not None and f"{prefix}0" in state and f"{prefix}1" not in state:
            state |= {f"{prefix}{i}": state[f"{prefix}0"].clone() for i in range(1, len(self.bias.tables))}
        return state


class SequenceAdapter(ModalityAdapter):
    """An adapter with learnt absolute positions along a sequence: the base for most new modalities.

    Args:
        config: Width, heads and switches of the encoder.
        max_tokens: Longest sequence with the CLS token.
        buckets: Relative position buckets in one direction.
        embedding_norm: See :class:`ModalityAdapter`.
        shrink: See :class:`ModalityAdapter`.
        types: See :class:`ModalityAdapter`.
    """

    no_weight_decay = frozenset({"cls_token", "position_table"})

    def __init__(
        self,
        config: TransformerConfig,
        max_tokens: int,
        buckets: int,
        embedding_norm: bool = False,
        shrink: float = 1.0,
        types: int = 0,
    ) -> None:
        bias = RelativeBias(SequenceBuckets(buckets), config.heads, config.bias_tables)
        super().__init__(config, max_tokens, bias, embedding_norm, shrink, types)
        self.buckets = buckets
        self.position_table = nn.Parameter(torch.empty(max_tokens, config.width))
        SequenceAdapter.reset_parameters(self)

    def reset_parameters(self) -> None:
        """Initialise in place."""
        super().reset_parameters()
        truncated_normal_(self.position_table, self.config.init_std)

    def positions(self, contents: Tensor, keep: Tensor | None) -> Tensor:
        """Rows of the table, in order or at the kept places."""
        if keep is not None:
            return nn.functional.embedding(keep, self.position_table)
        return self.position_table[: contents.shape[1]][None]


class Off(ModalityAdapter):
    """No adapter: removes, in a later config, the adapter of an earlier file."""

    def stem(self, values: Tensor) -> Tensor:
        """Never called."""
        raise TypeError("this modality is switched off")

    def positions(self, contents: Tensor, keep: Tensor | None) -> Tensor:
        """Never called."""
        raise TypeError("this modality is switched off")


def first_rows(tensor: Tensor | None, rows: int | None) -> Tensor | None:
    """Return the first rows of a tensor; the tensor itself where all are wanted."""
    return tensor if tensor is None or rows is None else tensor[:rows]
