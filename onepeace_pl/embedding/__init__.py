"""Embedding of large sets: items of files, tables and streams, in order, into folders of Parquet files."""

from onepeace_pl.embedding.embedder import ItemEmbedder
from onepeace_pl.embedding.item import Item
from onepeace_pl.embedding.sources import find_items
from onepeace_pl.embedding.stamp import Stamp

__all__ = ["Item", "ItemEmbedder", "Stamp", "find_items"]
