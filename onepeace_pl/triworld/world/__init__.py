"""Scene sampling: factors of variation, layouts, sampling laws and reproducible random numbers."""
