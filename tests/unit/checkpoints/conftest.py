"""The small model of the hub's tests."""

from tests.unit.hub.conftest import model

__all__ = ["model"]
