"""Transformer parts in pure torch. They know sequences and names of segments, but no modality."""

from onepeace_pl.nn.config import TransformerConfig
from onepeace_pl.nn.interpolation import enlarge_relative_table, resize_positions
from onepeace_pl.nn.relative_bias import GridBuckets, RelativeBias, SequenceBuckets
from onepeace_pl.nn.sequence import Segment, TokenSequence
from onepeace_pl.nn.transformer import Transformer

__all__ = [
    "GridBuckets",
    "RelativeBias",
    "Segment",
    "SequenceBuckets",
    "TokenSequence",
    "Transformer",
    "TransformerConfig",
    "enlarge_relative_table",
    "resize_positions",
]
