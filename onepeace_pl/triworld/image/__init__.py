"""Image and video renderer, with boxes and masks."""
