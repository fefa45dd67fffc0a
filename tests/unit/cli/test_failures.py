"""User errors take one line, bugs keep their traceback."""

import textwrap
from pathlib import Path

import pytest
from torch.utils.data import DataLoader, Dataset

from onepeace_pl.cli.failures import constructing, user_message
from onepeace_pl.errors import UserError


def caught(call):
    with pytest.raises(Exception) as information:
        call()
    return user_message(information.value)


def refuse():
    raise UserError("row 3 has no picture;\n  add one")


def test_the_type_decides():
    assert caught(refuse) == "row 3 has no picture; add one"

    assert caught(lambda: (_ for _ in ()).throw(UserError("give a\n file"))) == "give a file"


def fail_on_purpose():
    raise ValueError("unfit")


def test_bugs():
    assert caught(fail_on_purpose) is None
    assert caught(lambda: int("x")) is None
    assert caught(lambda: None + 1) is None
    assert caught(lambda: {}["x"]) is None
    assert caught(lambda: textwrap.indent(3, "")) is None


@pytest.mark.parametrize("call", [fail_on_purpose, lambda: None + 1, refuse])
def test_constructors_of_any_class_speak_to_the_user(call):
    def constructed():
        with constructing():
            call()

    with pytest.raises(UserError) as information:
        constructed()
    assert user_message(information.value)


def test_other_errors_of_constructors_are_bugs():
    def constructed():
        with constructing():
            {}["x"]

    with pytest.raises(KeyError):
        constructed()


def test_a_user_error_behind_another_error():
    def fail():
        try:
            refuse()
        except UserError as error:
            raise RuntimeError("while it was made") from error

    assert caught(fail) == "row 3 has no picture; add one"


def test_what_the_system_refuses(tmp_path):
    file = tmp_path / "a"
    file.write_text("")
    assert caught(lambda: tmp_path.read_text()) == f"is a directory: {tmp_path}; give a file"
    assert caught(lambda: (file / "b").read_text()) == (
        f"not a directory: {file / 'b'}; a part of that path is a file"
    )
    assert caught(lambda: Path("/dev/full").write_text("x")) == (
        "no space left on device; free some space, or write elsewhere"
    )
    with pytest.raises(ConnectionRefusedError) as information:  # no matter of files: a defect
        raise ConnectionRefusedError(111, "Connection refused")
    assert user_message(information.value) is None


def test_no_space_for_weights():
    from safetensors import SafetensorError

    error = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert user_message(error) == "no space left on device; free some space, or write elsewhere"


def test_missing_file():
    assert caught(lambda: Path("gone/a.tsv").read_text()) == "no such file: gone/a.tsv"


class Rows(Dataset):
    def __init__(self, fail):
        self.fail = fail

    def __len__(self):
        return 2

    def __getitem__(self, index):
        self.fail()
        return index


@pytest.mark.parametrize(
    ("fail", "line"),
    [
        (refuse, "row 3 has no picture; add one"),
        (lambda: int("x"), None),
        (fail_on_purpose, None),
        (lambda: open("/"), "[Errno 21] Is a directory: '/'"),  # noqa: SIM115
        (lambda: open("gone.png"), "[Errno 2] No such file or directory: 'gone.png'"),  # noqa: SIM115
    ],
)
def test_in_a_worker_of_the_loader(fail, line):
    assert caught(lambda: list(DataLoader(Rows(fail), num_workers=1))) == line


def test_lightnings_own_complaints():
    from lightning.pytorch import Trainer

    assert "odd" in caught(lambda: Trainer(accelerator="odd"))
