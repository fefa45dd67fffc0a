import json

from onepeace_pl.data.data_info import DataInfo


def test_json_and_back() -> None:
    data_info = DataInfo(("image", "text"), 300, ("cat", "dog"))
    assert DataInfo.from_config(json.loads(json.dumps(data_info.to_config()))) == data_info
