"""Callbacks for the Trainer."""

from onepeace_pl.callbacks.interrupt import StopOnSignal
from onepeace_pl.callbacks.report import Report
from onepeace_pl.callbacks.throughput import Throughput

__all__ = ["Report", "StopOnSignal", "Throughput"]
