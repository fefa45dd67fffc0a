"""What dense tasks share: patch features of pictures of any size, and pyramids of them."""

from onepeace_pl.dense.branch import DenseBranch, Patches

__all__ = ["DenseBranch", "Patches"]
