"""Visual grounding: where in a picture is what a phrase means?"""

from onepeace_pl.tasks.grounding.task import Grounding

__all__ = ["Grounding"]
