"""A user's own module, outside of every package."""

from toy import ImageAdapter, Sizes


class DepthAdapter(ImageAdapter):
    def __init__(self, sizes: Sizes, patch: int = 2) -> None:
        super().__init__(sizes, patch, channels=1)
