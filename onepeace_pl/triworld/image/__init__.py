"""Images and video clips of TriWorld: sprites, textures and regions of a scene, rendered."""
