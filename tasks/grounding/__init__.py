"""Visual grounding: where in a picture is what a phrase means?"""

from tasks.grounding.task import Grounding

__all__ = ["Grounding"]
