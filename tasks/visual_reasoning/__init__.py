"""Visual reasoning: does a statement hold of two pictures?"""

from tasks.visual_reasoning.task import VisualReasoning

__all__ = ["VisualReasoning"]
