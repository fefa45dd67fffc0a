"""Tar shards in WebDataset's layout, read at random through a memory-mapped index."""

from onepeace_pl.data.shards.index import TarIndex, index_shards
from onepeace_pl.data.shards.writer import ShardReport, write_shards

__all__ = ["ShardReport", "TarIndex", "index_shards", "write_shards"]
