"""Visual reasoning: statements about two images."""

from onepeace_pl.tasks.visual_reasoning.task import VisualReasoning

__all__ = ["VisualReasoning"]
