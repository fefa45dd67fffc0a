"""TriWorld: a synthetic tri-modal dataset (image, audio, text) with exactly known optima.

A scene of factors (kind, size, colour, place, background, rhythm, order) is rendered as an image, a waveform and a
caption, and has the labels of every task. See :class:`TriWorldSource` and :func:`galleries`.
"""

from onepeace_pl.triworld.optimum.galleries import galleries
from onepeace_pl.triworld.source import SceneRows, TriWorldSource
from onepeace_pl.triworld.world.laws import Law
from onepeace_pl.triworld.world.scene import Scene, SceneObject
from onepeace_pl.triworld.world.world import World

__all__ = ["Law", "Scene", "SceneObject", "SceneRows", "TriWorldSource", "World", "galleries"]
