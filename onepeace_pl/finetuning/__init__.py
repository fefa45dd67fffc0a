"""Configs of fine-tuning, guessed from data and a model folder: the verb ``finetune``."""
