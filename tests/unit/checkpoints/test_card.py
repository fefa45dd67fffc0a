"""The model card: its head for the Hub, how a model is loaded, and what it tells of a run."""

import re

import pytest
from huggingface_hub import ModelCard

from onepeace_pl import OnePeace
from onepeace_pl.checkpoints.folder import add_run_record
from onepeace_pl.checkpoints.run_record import RunRecord, Score

PICTURE = b"\x89PNG picture"
RUN = RunRecord(
    {"data": "TriWorldDataModule", "updates": "720", "seed": "0"},
    "Validation of the weights of step 720",
    (
        Score("scenes", "image->text/R@1", 0.5742, 0.512, 0.633, 0.0039, 0.957),
        Score("novel", "image->text/R@1", 0.5),
        Score("questions", "accuracy", 0.781),
    ),
    {"license": "apache-2.0", "language": "en", "datasets": "triworld"},
    PICTURE,
)


def card_of(folder) -> ModelCard:
    return ModelCard.load(folder / "README.md")


def test_the_head_says_what_the_hub_asks_for(model, tmp_path):
    model.save_pretrained(tmp_path)
    head = card_of(tmp_path).data.to_dict()
    assert head == {
        "library_name": "onepeace-pl",
        "pipeline_tag": "feature-extraction",
        "tags": ["one-peace", "multimodal", "sentence-transformers", "text", "image", "audio"],
    }  # neither a licence nor results that nobody has stated
    assert model.model_card() == (tmp_path / "README.md").read_text()


def test_the_record_of_a_run_stays_with_its_model(model, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    model.save_pretrained(first)
    add_run_record(first, RUN, model.backbone, model.processors)
    again = OnePeace.from_pretrained(first, "cpu")
    again.save_pretrained(second)
    for folder in (first, second):
        assert RunRecord.of_folder(folder) == RUN
        assert (folder / "gallery.png").read_bytes() == PICTURE
    card = (first / "README.md").read_text()
    assert card == (second / "README.md").read_text() == again.model_card()
    assert "| scenes | image to text R@1 | 0.574 [0.512, 0.633] | 0.004 | 0.957 |" in card
    assert "| questions | accuracy | 0.781 |  |  |" in card
    assert "](gallery.png)" in card
    assert "| updates | 720 |" in card
    found = card_of(first).data
    assert (found.license, found.language, found.datasets) == ("apache-2.0", "en", ["triworld"])
    results = [(r.dataset_name, r.metric_name, r.metric_value) for r in found.eval_results]
    assert results == [
        ("scenes", "image->text/R@1", 0.5742),
        ("novel", "image->text/R@1", 0.5),
        ("questions", "accuracy", 0.781),
    ]


def test_a_folder_without_a_run_keeps_nothing_of_an_older_one(model, tmp_path):
    model.save_pretrained(tmp_path)
    add_run_record(tmp_path, RUN, model.backbone, model.processors)
    model.save_pretrained(tmp_path)
    assert RunRecord.of_folder(tmp_path) is None
    assert not (tmp_path / "gallery.png").exists()
    assert "## Results" not in (tmp_path / "README.md").read_text()


@pytest.mark.filterwarnings("ignore")
def test_its_first_example_runs(model, tmp_path):
    model.save_pretrained(tmp_path)
    card = (tmp_path / "README.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert [line for each in examples for line in each.splitlines() if "import" in line] == [
        "from onepeace_pl import OnePeace",
        "from sentence_transformers import SentenceTransformer",
    ]  # no Predictor without a head
    found: dict = {}
    code = examples[0].replace("path/to/this/folder", str(tmp_path)).replace("[...]", '["a bell", "snow"]')
    exec(code, found)
    assert found["vectors"].shape == (2, model.dim)
