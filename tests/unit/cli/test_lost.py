"""One-line errors for lost processes: real ones, killed."""

import os
import signal

import pytest
from torch.utils.data import DataLoader, Dataset

from onepeace_pl.cli.failures import user_message


class Deadly(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_killed_worker():
    with pytest.raises(RuntimeError) as caught:
        list(DataLoader(Deadly(), num_workers=1))
    line = user_message(caught.value)
    assert line.startswith("a process that loads data ")
    assert "data.num_workers" in line


def test_other_errors_are_not_taken_for_it():
    assert user_message(RuntimeError("the request timed out")) is None
