"""Pretraining objectives: cross-modal contrastive learning, intra-modal denoising contrastive learning, InfoNCE."""

from onepeace_pl.objectives.alignment import Alignment, CrossModalContrast
from onepeace_pl.objectives.denoising import Denoising, DenoisingLoss
from onepeace_pl.objectives.info_nce import InfoNCE, info_nce

__all__ = ["Alignment", "CrossModalContrast", "Denoising", "DenoisingLoss", "InfoNCE", "info_nce"]
