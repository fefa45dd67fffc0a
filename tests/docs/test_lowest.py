"""The tests that ``.ci/lowest`` names exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_its_tests_exist() -> None:
    names = re.findall(r"^  (tests/\S+)", (ROOT / ".ci/lowest").read_text(), re.MULTILINE)
    assert len(names) > 5
    for name in names:
        path, _, function = name.partition("::")
        assert (ROOT / path).is_file(), name
        assert f"def {function}" in (ROOT / path).read_text(), name
