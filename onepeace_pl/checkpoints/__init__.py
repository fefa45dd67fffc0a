"""Checkpoints: read and write weights of official, Lightning and PEFT formats, whole, partial and sharded."""
