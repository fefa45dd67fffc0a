"""Objects as class path and constructor arguments."""

import json
from dataclasses import dataclass

import pytest

from onepeace_pl.errors import UserError
from onepeace_pl.utils.configurable import Configurable


@dataclass(frozen=True)
class Size:
    width: int = 3


class Plain(Configurable):
    def __init__(self, sizes: tuple[int, int] = (1, 2), size: Size | None = None) -> None:
        self.sizes, self.size = sizes, size


class Optionless(Configurable):
    pass


class Supplied(Configurable):
    supplied_arguments = 1

    def __init__(self, width: int, depth: int = 2) -> None:
        self.depth, self.product = depth, width * depth


class Forgetful(Configurable):
    def __init__(self, rate: int = 3) -> None:
        pass


def test_arguments_become_plain_data() -> None:
    config = Plain((3, 4), Size(5)).to_config()
    assert config == {"class_path": f"{__name__}.Plain", "init_args": {"sizes": [3, 4], "size": {"width": 5}}}
    assert json.loads(json.dumps(config)) == config
    assert Optionless().to_config() == {"class_path": f"{__name__}.Optionless", "init_args": {}}


def test_an_object_is_made_again() -> None:
    made = Configurable.from_config({"class_path": f"{__name__}.Plain", "init_args": {"sizes": [3, 4]}})
    assert isinstance(made, Plain)
    assert made.sizes == [3, 4]
    assert isinstance(Optionless.from_config(Optionless().to_config()), Optionless)


def test_supplied_arguments_are_no_part_of_the_config() -> None:
    config = Supplied(5, depth=3).to_config()
    assert config["init_args"] == {"depth": 3}
    assert Supplied.from_config(config, 7).product == 21


def test_what_cannot_be_made_again_is_refused() -> None:
    class Hidden(Configurable):
        pass

    with pytest.raises(UserError, match="Forgetful does not keep its option 'rate' as an attribute"):
        Forgetful().to_config()
    with pytest.raises(
        UserError, match="Hidden is defined inside a function; move it to the top of a module"
    ):
        Hidden().to_config()
    with pytest.raises(UserError, match=r"part 'x': .*Optionless is no Plain"):
        Plain.from_config(Optionless().to_config(), owner="part 'x'")
