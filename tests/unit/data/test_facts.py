import json

from onepeace_pl.data.facts import DataFacts


def test_json_and_back() -> None:
    facts = DataFacts(("image", "text"), 300, ("cat", "dog"))
    assert DataFacts.from_dict(json.loads(json.dumps(facts.to_dict()))) == facts
