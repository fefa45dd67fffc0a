"""Training: the LightningModule, the task interface and the evaluators."""
