"""Loading: datasets, samplers, collation and data loaders."""
