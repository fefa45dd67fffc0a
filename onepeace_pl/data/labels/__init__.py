"""Labels: from what a dataset stores to training targets; boxes, masks and joint transforms."""
