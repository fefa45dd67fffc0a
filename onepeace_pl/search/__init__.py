"""Search of images, audio and text by any of them: an index of embeddings in LanceDB (the extra ``search``)."""

from onepeace_pl.embedding import Item, Stamp, find_items
from onepeace_pl.search.index import Index
from onepeace_pl.search.item import Added, Hit

__all__ = ["Added", "Hit", "Index", "Item", "Stamp", "find_items"]
