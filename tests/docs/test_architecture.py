"""The picture of the packages is that of the code, and its layers hold."""

import pytest

from docs.architecture import PICTURE, imports, layers, placed, reduced, svg, with_waypoints


def test_the_picture_is_up_to_date() -> None:
    assert PICTURE.read_text(encoding="utf-8") == svg(), "run: python docs/architecture.py"


def test_imports_are_found_wherever_they_stand(tmp_path) -> None:
    for name, code in {
        "a": "import onepeace_pl.b\ndef f():\n    from onepeace_pl.c.d import e\n",
        "b": "from onepeace_pl.a import x\nimport torch, onepeace_pl.utils.files\n",
        "c": "",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.py").write_text(code)
    assert imports({name: tmp_path / name for name in "abc"}) == {"a": {"b", "c"}, "b": {"a"}, "c": set()}


def test_arrows_that_follow_from_others_are_left_out() -> None:
    assert reduced({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_a_package_stands_above_what_it_imports() -> None:
    assert layers({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": 2, "b": 1, "c": 0}
    with pytest.raises(ValueError, match="a -> b -> a"):
        layers({"a": {"b"}, "b": {"a"}})


def test_boxes_of_a_layer_do_not_overlap() -> None:
    graph = {"a": {"d"}, "b": {"d"}, "c": {"d"}, "d": set(), "e": {"a", "b", "c"}, "f": {"d", "e"}}
    steps, levels, routes = with_waypoints(graph, layers(graph))
    x = placed(steps, levels)
    row = sorted(x[name] for name in "abc")
    assert row[1] - row[0] >= 200
    assert row[2] - row[1] >= 200
    assert max(len(route) for route in routes) == 4  # f to d passes the layers of e and of a, b, c
