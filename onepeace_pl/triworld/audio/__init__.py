"""Audio of TriWorld: rhythm and timbre of a scene, rendered."""
