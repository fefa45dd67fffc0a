"""Report of a conversion: every key, and the number of parameters beside the published ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from onepeace_pl.backbone import Backbone

RELEASED: dict[int, str] = {  # number of parameters by file
    3_884_740_545: "three modalities, retrieval",
    3_884_740_544: "three modalities without logit scale",
    2_731_704_193: "image-text retrieval, a table for each layer",
    2_747_412_225: "audio-text retrieval, a table for each layer",
    2_759_268_497: "pretraining, stage 1",
    2_775_509_857: "pretraining, stage 2",
    2_750_772_153: "VQA",
    2_740_006_276: "RefCOCO",
    2_743_525_250: "NLVR2",
    2_754_507_009: "AQA",
    1_543_610_440: "FSD50K",
    1_543_945_397: "VGGSound",
    1_514_569_056: "vision only",
}
RELEASED_SIZES = {"width": 1536, "depth": 40, "heads": 24, "feed_forward": 6144}


@dataclass
class Account:
    """Result of converting an official file, key by key.

    Attributes:
        source: The file.
        checkpoint_format: Format of the official file, or ``lightning``.
        keys: Number of keys.
        used: Official names of tensors that are parameters of the model.
        new: Parameters that are missing in the file.
        head: Our names of the task head's weights.
        left_over: Official names of other tensors; they are kept in a file of their own.
        dropped: Official names left out on request.
        resized: Our names of tensors that were resized.
        buffers: Official names of stored position buffers, all recomputed and equal.
        parameters: Number of parameters in the file.
        notes: Remarks, a line each.
    """

    source: str
    checkpoint_format: str
    keys: int = 0
    used: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)
    buffers: list[str] = field(default_factory=list)
    parameters: int = 0
    notes: list[str] = field(default_factory=list)

    def lines(self, limit: int | None = 6) -> list[str]:
        """Return a summary, with at most ``limit`` names of each sort; None for all."""
        text = [f"{self.source}: {self.checkpoint_format}, {self.keys} keys, {self.parameters:,} parameters"]
        rows = {
            "used": self.used,
            "made new": self.new,
            "of the task's head, kept in task.safetensors": self.head,
            "left over, kept in extra.safetensors": self.left_over,
            "dropped as asked": self.dropped,
            "resized": self.resized,
            "position buffers, recomputed and equal": self.buffers,
        }
        for title, names in rows.items():
            if not names and title not in ("used", "made new"):
                continue
            text.append(f"  {len(names)} {title}")
            if names and (limit is None or title not in ("used", "position buffers, recomputed and equal")):
                text += [f"    {name}" for name in names[:limit]]
                if limit is not None and len(names) > limit:
                    text.append(f"    and {len(names) - limit} more (--verbose)")
        return text + [f"  {note}" for note in self.notes]

    def note_types(self, content: object) -> None:
        """Note floats that are not float32 in the content of a file."""
        while isinstance(content, Mapping):
            inner = content.get("model", content.get("state_dict"))
            if not isinstance(inner, Mapping):
                break
            content = inner
        values = content.values() if isinstance(content, Mapping) else ()
        dtypes = {t.dtype for t in values if isinstance(t, Tensor) and t.is_floating_point()}
        other = sorted(str(dtype).removeprefix("torch.") for dtype in dtypes - {torch.float32})
        if other:
            self.notes.append(f"{', '.join(other)} became float32")

    def note_count(self, backbone: Backbone) -> None:
        """Compare the number of parameters with the published ones, where the sizes are the released ones."""
        if any(getattr(backbone.config, name) != size for name, size in RELEASED_SIZES.items()):
            return
        known = RELEASED.get(self.parameters)
        self.notes.append(
            f"as many parameters as published: {known}"
            if known
            else "ATTENTION: no published checkpoint has this number of parameters"
        )
