"""The hint at the nearest valid name."""

import pytest

from onepeace_pl.errors import UserError, nearest


@pytest.mark.parametrize(
    ("name", "otherwise", "hint"),
    [
        ("vall/loss", None, "did you mean 'val/loss'?"),
        ("xyz", None, "there are val/loss, train/loss"),
        ("xyz", "see --help", "see --help"),
        ("xyz", "", ""),
    ],
)
def test_nearest(name, otherwise, hint):
    assert nearest(name, ["val/loss", "train/loss", "val/loss"], otherwise) == hint


def test_a_user_error_is_a_value_error():
    with pytest.raises(ValueError, match="no"):
        raise UserError("no")
