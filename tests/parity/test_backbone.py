"""Features, intermediates, projections and masked passes of the reference model."""

import torch

from onepeace_pl.backbone import ForwardPass
from onepeace_pl.modalities import ModalityInput, View

from .files import tensors
from .reference import audio_language, pretrained, vision_language


def close(mine, theirs, bound):
    assert mine.shape == theirs.shape
    assert (mine - theirs).abs().max().item() <= bound


def real(rows, padding):
    return rows if padding is None else rows[~padding]


@torch.no_grad()
def test_features_and_projections(golden):
    backbone, expected = pretrained(golden), tensors(golden, "features")
    vl, _ = vision_language(golden)
    (text, image, both), scale = backbone(
        vl, [ForwardPass(("text",)), ForwardPass(("image",)), ForwardPass(("text", "image"))]
    )
    pad = vl["text"].padding
    close(real(text.tokens["text"], pad), real(expected["text.features"], pad), 3e-5)
    close(image.tokens["image"], expected["image.features"], 3e-5)
    close(real(both.tokens["text"], pad), real(expected["vl.text_features"], pad), 3e-5)
    close(both.tokens["image"], expected["vl.image_features"], 3e-5)
    close(text.embeddings["text"], expected["text.proj"], 2e-6)
    close(image.embeddings["image"], expected["image.proj"], 2e-6)
    close(scale, expected["logit_scale_exp"], 1e-5)


@torch.no_grad()
def test_audio_features(golden):
    backbone, expected = pretrained(golden), tensors(golden, "features")
    al, _ = audio_language(golden)
    (audio, both), _ = backbone(al, [ForwardPass(("audio",)), ForwardPass(("text", "audio"))])
    heard, read = al["audio"].padding, al["text"].padding
    close(real(audio.tokens["audio"], heard), real(expected["audio.features"], heard), 3e-5)
    close(audio.embeddings["audio"], expected["audio.proj"], 2e-6)
    close(real(both.tokens["audio"], heard), real(expected["al.audio_features"], heard), 3e-5)
    close(real(both.tokens["text"], read), real(expected["al.text_features"], read), 3e-5)
    first = al["audio"].values[:1]
    alone = ModalityInput(first[:, : int(first.nonzero()[-1, 1]) + 1])  # what lies behind is padding
    (features,), _ = backbone({"audio": alone}, [ForwardPass(("audio",))])
    close(features.tokens["audio"], expected["audio.first_clip_alone.features"], 3e-5)


@torch.no_grad()
def test_intermediate_values(golden):
    backbone, expected = pretrained(golden), tensors(golden, "intermediate")
    vl, _ = vision_language(golden)
    al, _ = audio_language(golden)
    for name, inputs in (("text", vl), ("image", vl), ("audio", al)):
        adapter, field = backbone.encoder.adapters[name], inputs[name]
        tokens = adapter(field, [View()])[0]
        close(tokens.embeddings, expected[f"{name}.{name}_adapter.embedding"], 3e-5)
        bias = tokens.bias[0].expand(1, -1, -1, -1)
        theirs = expected[f"{name}.{name}_adapter.attn_bias_row0"]
        visible = torch.isfinite(theirs)
        close(bias[visible], theirs[visible], 1e-6)
        outputs = []
        hooks = [
            b.register_forward_hook(lambda m, a, out, kept=outputs: kept.append(out[0]))
            for b in backbone.encoder.transformer.blocks
        ]
        backbone(inputs, [ForwardPass((name,))])
        for hook in hooks:
            hook.remove()
        layers = [i for i in range(len(outputs)) if f"{name}.layer{i}.out" in expected]
        assert layers
        for layer in layers:
            close(
                real(outputs[layer].view_as(tokens.embeddings), field.padding),
                real(expected[f"{name}.layer{layer}.out"], field.padding),
                3e-5,
            )
    close(
        backbone.encoder.adapters["image"].stem(vl["image"].values), expected["image.patch_embedding"], 3e-5
    )
    audio = backbone.encoder.adapters["audio"]
    frames = audio.stem(al["audio"].values)
    close(frames, expected["audio.frame_embedding"], 3e-5)
    close(audio.position_convolutions(frames), expected["audio.conv_position"], 3e-5)


@torch.no_grad()
def test_masked_passes(golden):
    backbone, expected = pretrained(golden), tensors(golden, "masked")
    vl, vl_masks = vision_language(golden)
    al, al_masks = audio_language(golden)
    for inputs, masks, prefix in ((vl, vl_masks, "vl"), (al, al_masks, "al")):
        streams = [ForwardPass(tuple(mask), mask) for mask in masks.values()]
        features, _ = backbone(inputs, streams)
        for name, feature in zip(masks, features, strict=True):
            for modality, restored in feature.reconstructed.items():
                joint = "+" in name
                key = f"{prefix}.student_{modality}" if joint else f"{modality}.student"
                padding = inputs[modality].padding
                close(real(restored, padding), real(expected[key], padding), 1e-4)
                if not joint:
                    pad = feature.padding[modality]
                    close(
                        real(feature.tokens[modality], pad), real(expected[f"{modality}.encoded"], pad), 3e-5
                    )
