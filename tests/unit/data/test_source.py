import pytest
from jsonargparse import ArgumentParser

from onepeace_pl.data.source import Row, RowList, Source, as_source, ids_of, labels_of, texts_of


class Plain(Source):
    """A user's source, without annotations."""

    modalities = ("text",)

    def __len__(self):
        return 3

    def __getitem__(self, i):
        return Row(str(i), {"text": "a dog"})


class Holder:
    def __init__(self, source: Source) -> None:
        self.source = source


@pytest.mark.parametrize(
    "path",
    [
        f"{__name__}.Plain",
        "onepeace_pl.triworld.TriWorldSource",
        "onepeace_pl.data.sources.FolderSource",
    ],
)
def test_a_source_can_be_named_in_a_config(path: str, tmp_path, monkeypatch) -> None:
    (tmp_path / "a.txt").write_text("a dog")
    options = {"path": str(tmp_path)} if path.endswith("FolderSource") else {}
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Holder, "data")
    config = parser.parse_object({"data": {"source": {"class_path": path, "init_args": options}}})
    source = parser.instantiate_classes(config).data.source
    assert isinstance(source, Source)
    assert "dog" in source[0].fields["text"] or len(source) > 3


def test_what_is_no_source_cannot() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Holder, "data")
    with pytest.raises(Exception, match="does not correspond to a subclass of Source"):
        parser.parse_object({"data": {"source": {"class_path": "torch.nn.Identity"}}})


ROWS = [
    Row("a", {"image": "a.jpg", "text": ("a dog", "a cat")}, {"answer": 0}),
    Row("b", {"image": "b.jpg", "text": "a bird"}, {"answer": 1}),
]


def test_a_list_of_rows_is_a_source() -> None:
    source = as_source(ROWS)
    assert as_source(source) is source
    assert source.modalities == ("image", "text")
    assert (len(source), source[1]) == (2, ROWS[1])
    assert RowList(ROWS, ["text"], ["yes", "no"]).classes == ("yes", "no")


def test_metadata_that_a_source_does_not_know_is_read_from_its_rows() -> None:
    source = as_source(ROWS)
    assert source.ids() is source.labels() is source.texts() is source.files(0) is source.lengths() is None
    assert source.one_per_id() == ()
    assert source.training_row(1, epoch=3) == source[1]
    assert list(ids_of(source)) == ["a", "b"]
    assert list(labels_of(source)) == [{"answer": 0}, {"answer": 1}]
    assert list(texts_of(source)) == ["a dog", "a cat", "a bird"]
