import gc
import sys
from importlib import import_module

import pytest

from onepeace_pl.cli import light_imports
from onepeace_pl.cli.light_imports import Deferred, LightImports


@pytest.fixture
def heavy_and_user(tmp_path, monkeypatch):
    """Two packages: one that takes long to import, and one that imports it for what is seldom used."""
    heavy, user = tmp_path / "heavyweight", tmp_path / "lightweight"
    for folder in (heavy, user):
        folder.mkdir()
    (heavy / "__init__.py").write_text("class Base:\n    value = 3\ndef four(): return 4\n")
    (heavy / "part.py").write_text("five = 5\n")
    monkeypatch.setattr(light_imports, "DEFERRED", ("heavyweight",))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [LightImports("lightweight"), *sys.meta_path])
    yield user / "__init__.py"
    for name in [name for name in sys.modules if name.startswith(("heavyweight", "lightweight"))]:
        del sys.modules[name]


def test_deferred_until_it_is_used(heavy_and_user):
    heavy_and_user.write_text(
        "import gc\nfrom typing import Optional\nfrom heavyweight import Base, four\n"
        "Annotation = Optional[Base]\ncollects = gc.isenabled()\n"
    )
    user = import_module("lightweight")
    assert "heavyweight" not in sys.modules
    assert isinstance(user.Base, Deferred)
    assert not user.collects
    assert gc.isenabled()
    assert user.four() == 4
    assert isinstance(import_module("heavyweight").Base(), user.Base)
    assert user.__spec__.loader.get_source("lightweight").startswith("import gc")


@pytest.mark.parametrize(
    ("code", "name", "value"),
    [
        ("from heavyweight import Base\nclass Own(Base): pass\nfound = Own.value", "found", 3),
        ("from heavyweight.part import five", "five", 5),
        ("import heavyweight\nfour = heavyweight.four()", "four", 4),
    ],
)
def test_real_where_the_import_itself_needs_it(heavy_and_user, code, name, value):
    heavy_and_user.write_text(code)
    assert getattr(import_module("lightweight"), name) == value
    assert not isinstance(sys.modules["heavyweight"], Deferred)


def test_no_stand_in_remains_after_a_failed_import(heavy_and_user):
    heavy_and_user.write_text("import heavyweight\nraise ImportError('broken')")
    with pytest.raises(ImportError, match="broken"):
        import_module("lightweight")
    assert "heavyweight" not in sys.modules
    assert gc.isenabled()
