"""Callbacks for the Trainer: reports, checkpoints, model folders, throughput."""

from onepeace_pl.callbacks.interrupt import StopOnSignal
from onepeace_pl.callbacks.report import Report
from onepeace_pl.callbacks.throughput import Throughput

__all__ = ["Report", "StopOnSignal", "Throughput"]
