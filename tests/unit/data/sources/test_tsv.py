import base64
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from onepeace_pl.data.source import Source
from onepeace_pl.data.sources import AudioTextTsv, ImageTextTsv, TsvSource
from onepeace_pl.data.sources.tsv import write_index
from onepeace_pl.errors import UserError
from onepeace_pl.modalities import AudioProcessor, ImageProcessor


def table(folder: Path, *lines: str, header: str = "image_id\timage\tcaption") -> str:
    path = folder / "pairs.tsv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return str(path)


def test_rows(tmp_path: Path) -> None:
    source = ImageTextTsv(table(tmp_path, "7\ta.png\ta dög", "7\tb.png\ttwo\ttabs"), root="/pictures")
    assert isinstance(source, Source)
    assert len(source) == 2
    assert source[0].id == "7"
    assert source[0].fields == {"image": "/pictures/a.png", "text": "a dög"}
    assert source[1].fields["text"] == "two\ttabs"  # the last column may hold tabs
    assert list(source.texts()) == ["a dög", "two\ttabs"]
    with pytest.raises(IndexError):
        source[2]


def test_columns_by_name_and_labels(tmp_path: Path) -> None:
    path = table(tmp_path, "q\tx\tcat\tis it?", header="question_id\tsplit\timage\tquestion")
    source = TsvSource(path, {"image": "image", "text": "question"}, id_column="question_id")
    row = source[0]
    assert (row.id, row.fields["text"], dict(row.labels)) == ("q", "is it?", {"split": "x"})
    assert row.fields["image"] == str(tmp_path / "cat")
    assert TsvSource(path, {"text": "question"})[0].id == "0"


def test_pictures_in_base64(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)).save(tmp_path / "a.png")
    encoded = base64.b64encode((tmp_path / "a.png").read_bytes()).decode()
    source = ImageTextTsv(table(tmp_path, f"0\t{encoded}\ta", "1\ta.png\ta"))
    processor = ImageProcessor(size=32)
    first, second = (processor(source[i].fields["image"]).values for i in range(2))
    assert first.equal(second)
    broken = ImageTextTsv(table(tmp_path, "0\tiVBORw0KGgo%%%\ta"))
    with pytest.raises(ValueError, match="no path and no base64"):
        broken[0]


def test_captions_of_an_evaluation_file(tmp_path: Path) -> None:
    (tmp_path / "texts.json").write_text(json.dumps({"1": ["a", "b"], "2": ["c"], "9": ["z"]}))
    path = table(tmp_path, "1\tx.png\t-", "2\ty.png\t-")
    with pytest.warns(UserWarning, match=r"1 ids have no row in .* \(first: '9'\)"):
        source = ImageTextTsv(path, captions=str(tmp_path / "texts.json"))
    assert [(source[i].id, source[i].fields["text"]) for i in range(len(source))] == [
        ("1", "a"), ("1", "b"), ("2", "c"),
    ]  # fmt: skip
    assert list(source.texts()) == ["a", "b", "c"]
    (tmp_path / "texts.json").write_text(json.dumps({"1": ["a"]}))
    with pytest.raises(ValueError, match=r"no caption for id '2' of .*pairs\.tsv:3"):
        ImageTextTsv(path, captions=str(tmp_path / "texts.json"))


def test_it_can_be_pickled_and_read_after_a_fork(tmp_path: Path) -> None:
    source = ImageTextTsv(table(tmp_path, *(f"{i}\t{i}.png\tcaption {i}" for i in range(500))))
    assert pickle.loads(pickle.dumps(source))[9] == source[9]
    child = os.fork()
    good = all(source[i].fields["text"] == f"caption {i}" for i in range(500))
    if child == 0:
        os._exit(0 if good else 1)
    assert good
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        (
            ["1\ta.png\tx", "2\tb.png"],
            {},
            r"pairs\.tsv:3: 2 columns instead of 3; separate columns with tabs",
        ),
        (["1\ta.png\tx", "1\tb.png\ty"], {"unique_ids": True}, r"pairs\.tsv:3: id '1' is already on line 2"),
        ([], {}, r"pairs\.tsv: a header and no rows"),
        (["1\ta.png\tx", ""], {}, r"pairs\.tsv:3: 1 columns"),
    ],
)
def test_bad_tables_are_refused(
    tmp_path: Path, lines: list[str], options: dict[str, bool], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ImageTextTsv(table(tmp_path, *lines), **options)


def test_bad_files_and_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone\.tsv: No such file"):
        ImageTextTsv(str(tmp_path / "gone.tsv"))
    path = table(tmp_path, "1\ta.png\tx", header="image_id\timage\tcaptions")
    with pytest.raises(ValueError, match=r"no column 'caption'; did you mean 'captions'\?"):
        ImageTextTsv(path)
    (tmp_path / "pairs.tsv").write_bytes(b"image_id\timage\tcaption\n1\ta\t\xff\n")
    with pytest.raises(ValueError, match=r"pairs\.tsv:2: not UTF-8"):
        ImageTextTsv(path)[0]


def test_durations(tmp_path: Path) -> None:
    header = "uniq_id\taudio\ttext\tduration"
    assert AudioTextTsv(table(tmp_path, "1\ta\tx\t2.5", "2\tb\ty\t1", header=header)).lengths() == [2.5, 1.0]
    with pytest.raises(ValueError, match=r"pairs\.tsv:2: duration 'long'"):
        AudioTextTsv(table(tmp_path, "1\ta\tx\tlong", header=header)).lengths()


def test_official_files(shared: Path) -> None:
    data = shared / "data"
    coco = ImageTextTsv(str(data / "coco128/tsv/coco64_train.tsv"), root=str(data / "coco128"))
    assert len(coco) == 85
    assert ImageProcessor(size=64)(coco[0].fields["image"]).length == 16
    captions = str(data / "coco128/tsv/coco64_val_texts.json")
    pairs = ImageTextTsv(str(data / "coco128/tsv/coco64_val.tsv"), str(data / "coco128"), captions)
    assert len(pairs) > 16
    assert len({pairs[i].id for i in range(len(pairs))}) == 16
    clotho = AudioTextTsv(str(data / "clotho/tsv/clotho_demo.tsv"), root=str(data / "clotho"))
    assert len(clotho) == 35
    assert AudioProcessor(max_seconds=30)(clotho[0].fields["audio"]).length == 1437  # 28.75 s
    assert clotho.lengths()[0] == 28.75


def test_a_table_with_an_index_is_mapped_and_known_by_its_version(tmp_path: Path) -> None:
    path = tmp_path / "table.tsv"
    path.write_text("id\ttext\n" + "".join(f"n{n}\trow {n}\n" for n in range(50)))
    plain = TsvSource(str(path), {"text": "text"}, "id")
    assert write_index(path) == (tmp_path / "table.tsv.index.npy", 50)
    mapped = TsvSource(str(path), {"text": "text"}, "id")
    assert len(pickle.dumps(mapped)) < len(pickle.dumps(plain)) - 300  # no array travels to a worker
    again = pickle.loads(pickle.dumps(mapped))
    assert [again[n] for n in range(50)] == [plain[n] for n in range(50)]
    path.write_text(path.read_text() + "n50\trow 50\n")
    with pytest.raises(UserError, match="of another version of the table; make it again"):
        TsvSource(str(path), {"text": "text"}, "id")
    (tmp_path / "table.tsv.index.npy").write_bytes(b"")
    with pytest.raises(UserError, match="damaged; make it again"):
        TsvSource(str(path), {"text": "text"}, "id")
