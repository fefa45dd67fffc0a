"""Scenes of TriWorld: factors, layout and the laws that draw them."""
