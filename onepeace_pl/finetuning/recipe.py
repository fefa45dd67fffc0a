"""Batch size, length and learning rate of fine-tuning, from the number of rows and the size of the model."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from onepeace_pl.finetuning.guesses import Guesses
from onepeace_pl.finetuning.init_model import InitModel
from onepeace_pl.finetuning.plan import Plan
from onepeace_pl.nn import TransformerConfig

LARGE = 500_000_000  # parameters from which a batch is a quarter of the usual
EVALUATIONS = 10
MOST_EPOCHS, FEWEST_EPOCHS = 60, 5
HEAD_RATE = 1e-3  # where the backbone is frozen or has low-rank adapters
RATES = ((128, 1e-3), (384, 5e-4), (768, 2e-4), (1024, 1e-4))  # width up to which, learning rate
LARGEST_RATE = 5e-5
VECTORS_SHARE = (
    0.1  # of it, where there is no new head: at the whole rate few rows undo what many have taught
)
DECAYS = (
    (8, 1.0),
    (16, 0.75),
    (32, 0.85),
)  # depth up to which, ratio of learning rates of neighbouring layers
LARGEST_DECAY = 0.9


@dataclass(frozen=True)
class Given:
    """Options of the command line; None for those to guess."""

    batch_size: int | None = None
    epochs: int | None = None
    max_steps: int | None = None
    lr: float | None = None
    num_workers: int | None = None
    stage: object = None


@dataclass(frozen=True)
class Recipe:
    """Options of training.

    Attributes:
        batch_size: Rows a step.
        epochs: Number of epochs; None where the number of updates is given.
        updates: Number of updates.
        an_epoch: Updates of an epoch.
        every: Epochs, or where these are not given updates, from one validation to the next.
        lr: Peak learning rate.
        layer_decay: Ratio of the learning rates of neighbouring layers.
        num_workers: Processes that prepare rows.
        gpu: Whether there is a GPU.
    """

    batch_size: int
    epochs: int | None
    updates: int
    an_epoch: int
    every: int
    lr: float
    layer_decay: float
    num_workers: int
    gpu: bool


def make_recipe(plan: Plan, model: InitModel, rows: int, given: Given, guesses: Guesses) -> Recipe:
    """Return the options of training.

    Args:
        plan: Task and data.
        model: The model to start from.
        rows: Number of training rows.
        given: Options of the command line.
        guesses: Takes in what is guessed.
    """
    config, gpu = model.backbone.config, torch.cuda.is_available()
    batch_size = _batch_size(plan, model, rows, given, guesses)
    an_epoch = -(-rows // batch_size)
    if given.max_steps is not None:
        epochs, updates, every = None, given.max_steps, max(1, given.max_steps // EVALUATIONS)
        guesses.add("updates", updates, f"--max-steps; {an_epoch} an epoch")
    else:
        wanted = -(-plan.updates // an_epoch)
        epochs = given.epochs or min(max(wanted, FEWEST_EPOCHS), MOST_EPOCHS)
        updates, every = epochs * an_epoch, max(1, epochs // EVALUATIONS)
        said = f"{an_epoch} updates each, {updates} in all"
        if given.epochs is None:
            said += f"; about {plan.updates} are usual, in {FEWEST_EPOCHS} to {MOST_EPOCHS} epochs"
        guesses.add("epochs", epochs, said, "--epochs, --max-steps")
    lr, layer_decay = _rates(config, plan.keeps_vectors, given, guesses)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(8, max(0, cores - 1)) if given.num_workers is None else given.num_workers
    guesses.add("workers", workers, f"{cores} CPU cores", "--num-workers")
    guesses.add("device", "GPU, bfloat16" if gpu else "CPU", "what this machine has", "--trainer.accelerator")
    return Recipe(batch_size, epochs, updates, an_epoch, every, lr, layer_decay, workers, gpu)


def _batch_size(plan: Plan, model: InitModel, rows: int, given: Given, guesses: Guesses) -> int:
    if given.batch_size is not None:
        guesses.add("batch size", given.batch_size, "--batch-size")
        return given.batch_size
    parameters = sum(parameter.numel() for parameter in model.backbone.parameters())
    size, reason = plan.batch_size, f"usual for {plan.title.lower()}"
    if parameters >= LARGE:
        size, reason = max(1, size // 4), f"{parameters / 1e9:.1f} billion parameters"
    share = (
        2 if plan.data_module == "PairsDataModule" else 8
    )  # rows of a batch are each other's negatives there
    while size > 2 and size * share > rows:
        size, reason = size // 2, f"{rows:,} rows: at least {share} batches an epoch"
    guesses.add("batch size", size, reason, "--batch-size")
    return size


def _rates(
    config: TransformerConfig, keeps_vectors: bool, given: Given, guesses: Guesses
) -> tuple[float, float]:
    frozen = given.stage == "frozen" or (isinstance(given.stage, dict) and "lora" in given.stage)
    decay = 1.0 if frozen else next((r for depth, r in DECAYS if config.depth <= depth), LARGEST_DECAY)
    if given.lr is not None:
        guesses.add("learning rate", f"{given.lr:g}", "--lr")
        return given.lr, decay
    if frozen:
        guesses.add("learning rate", f"{HEAD_RATE:g}", "pretrained weights are frozen", "--lr")
        return HEAD_RATE, decay
    lr = next((rate for width, rate in RATES if config.width <= width), LARGEST_RATE)
    if keeps_vectors:
        lr *= VECTORS_SHARE
    head = ", without a new head" if keeps_vectors else ""
    layers = f", times {decay:g} from layer to layer" if decay < 1 else ""
    guesses.add("learning rate", f"{lr:g}", f"a model of width {config.width}{head}{layers}", "--lr")
    return lr, decay
