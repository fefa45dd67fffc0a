"""HTTP server of a model: a page to search with, and embeddings, classification and search as JSON."""

from onepeace_pl.serving.limits import Limits
from onepeace_pl.serving.request_error import RequestError
from onepeace_pl.serving.service import Service

__all__ = ["Limits", "RequestError", "Service"]
