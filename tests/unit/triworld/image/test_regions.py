import numpy as np

from onepeace_pl.triworld import Law, World
from onepeace_pl.triworld.image import regions
from onepeace_pl.triworld.image.regions import SEMANTIC_CLASSES, mask_boxes
from onepeace_pl.triworld.image.render import render
from onepeace_pl.triworld.world.factors import BACKGROUNDS


def test_masks_boxes_and_semantics_agree() -> None:
    for scene in World("val", 40, Law((1, 4), "include")):
        masks, boxes, semantic = (
            regions.instance_masks(scene, 96),
            regions.boxes(scene, 96),
            regions.semantic_mask(scene, 96),
        )
        for thing, mask, (x0, y0, x1, y1) in zip(scene.objects, masks, boxes.astype(int), strict=True):
            assert mask[y0:y1, x0:x1].sum() == mask.sum() > 0
            assert mask[y0].any()
            assert mask[y1 - 1].any()
            assert mask[:, x0].any()
            assert mask[:, x1 - 1].any()
            assert {SEMANTIC_CLASSES[c] for c in np.unique(semantic[mask])} == {thing.kind}
            assert x0 / 96 < thing.x < x1 / 96
            assert y0 / 96 < thing.y < y1 / 96
        rest = semantic[~masks.any(axis=0)]
        assert (rest == BACKGROUNDS.index(scene.background)).all()


def test_masks_are_where_the_object_is_painted() -> None:
    from dataclasses import replace

    scene = World("val", 1, Law((1, 1)))[0]
    changed = np.abs(render(scene, 96).astype(int) - render(replace(scene, objects=()), 96)).sum(axis=2) > 60
    mask = regions.instance_masks(scene, 96)[0]
    assert (changed & mask).sum() / mask.sum() > 0.85


def test_masks_scale_with_the_picture() -> None:
    scene = World("val", 3)[2]
    small, large = regions.boxes(scene, 64), regions.boxes(scene, 256)
    np.testing.assert_allclose(small * 4, large, atol=5)


def test_boxes_of_empty_masks_are_zero() -> None:
    assert mask_boxes(np.zeros((1, 8, 8), dtype=bool)).tolist() == [[0, 0, 0, 0]]
