"""TriWorld: a generated world that is seen, heard and told, with known optima of retrieval.

A scene of factors (kind, size, colour, place, background, rhythm, order) is rendered as a picture, a sound
and a sentence, and gives every task its labels. See :class:`TriWorldSource` and :func:`galleries`.
"""

from onepeace_pl.triworld.optimum.galleries import galleries
from onepeace_pl.triworld.source import SceneRows, TriWorldSource
from onepeace_pl.triworld.world.scene import Scene, SceneObject
from onepeace_pl.triworld.world.world import Law, World

__all__ = ["Law", "Scene", "SceneObject", "SceneRows", "TriWorldSource", "World", "galleries"]
