"""Visual reasoning: does a statement hold of two pictures?"""

from onepeace_pl.tasks.visual_reasoning.task import VisualReasoning

__all__ = ["VisualReasoning"]
