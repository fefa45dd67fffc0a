"""Answers to requests, as JSON: embeddings, zero-shot classification and search with one model."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from onepeace_pl.errors import nearest
from onepeace_pl.hub import OnePeace
from onepeace_pl.search import Hit, Index
from onepeace_pl.serving.inputs import Item, read_item, read_items
from onepeace_pl.serving.limits import Limits
from onepeace_pl.serving.request_error import RequestError
from onepeace_pl.serving.shared_files import SharedFiles
from onepeace_pl.utils.json_files import JsonObject

MOST_VALUES: Final = 1_000_000
"""Values and containers of a body's JSON: as Python objects, small ones take many times their length."""

RESULTS: Final = 12
"""Search results where a request does not say how many."""

Query = Mapping[str, Any]
"""Keyword arguments of the model: values by modality, one or a list of them."""

EMBEDDING_FIELDS: Final = (
    *("input", "encoding_format", "dimensions", "user"),  # OpenAI
    "messages",  # vLLM
    *("embedding_type", "normalized"),  # Jina
)


class Service:
    """A model, and an index of its vectors if there is one. Each answer is a call of the model; make one at a time.

    Args:
        model: The model.
        name: Its name in requests and answers.
        index: The index that is searched; None for none.
        limits: What is refused.
    """

    def __init__(
        self, model: OnePeace, name: str, index: Index | None = None, limits: Limits | None = None
    ) -> None:
        self.model, self.name, self.index = model, name, index
        self.limits = Limits() if limits is None else limits
        self.files = SharedFiles()

    def embeddings(self, body: bytes) -> JsonObject:
        """Answer ``POST /v1/embeddings``: the request and answer of the OpenAI API, with inputs of all modalities.

        Args:
            body: JSON with ``input`` (see :func:`~onepeace_pl.serving.inputs.read_items`) or ``messages``, and
                optionally ``model``, ``encoding_format`` (or ``embedding_type``), ``dimensions``, ``normalized`` and
                ``user``, which is ignored.

        Raises:
            RequestError: The request is invalid.
            UserError: The model cannot use an input or option.
        """
        said = read_json(body)
        self._check(said, EMBEDDING_FIELDS)
        field = "embedding_type" if "embedding_type" in said else "encoding_format"
        form = said.get(field, "float")
        if form not in ("float", "base64"):
            raise RequestError(f"{field}={str(form)[:20]!r} must be float or base64", param=field)
        normalized = said.get("normalized", True)
        if not isinstance(normalized, bool):
            raise RequestError("normalized must be true or false", param="normalized")
        dimensions = said.get("dimensions")
        if dimensions is not None:
            dimensions = _whole(dimensions, "dimensions", self.model.dim)
        if "messages" in said:
            items = [read_item(_message(said), "messages[0]", self.model, self.limits)]
        else:
            items = read_items(said.get("input"), "input", self.model, self.limits)
        tokens = self._tokens(items)
        before = self.model.truncation_counts
        vectors = self._encode(items, dimensions, normalized)
        rows = vectors.numpy().astype("<f4")
        data = [
            {
                "object": "embedding",
                "index": number,
                "embedding": _base64(row) if form == "base64" else row.tolist(),
            }
            for number, row in enumerate(rows)
        ]
        return {
            "object": "list",
            "data": data,
            "model": self.name,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            "truncated": self._truncated(before),
        }

    def classify(self, body: bytes) -> JsonObject:
        """Answer ``POST /v1/classify``: zero-shot scores of labels, as of Jina's classifier API.

        Args:
            body: JSON with ``input``, ``labels``, and optionally ``prompts`` (templates with ``{}``) and ``model``.

        Raises:
            RequestError: The request is invalid.
            UserError: The model cannot use an input, label or prompt.
        """
        said = read_json(body)
        self._check(said, ("input", "labels", "prompts"))
        labels = self._texts(said.get("labels"), "labels")
        prompts = self._texts(said.get("prompts", ["{}"]), "prompts")
        if len(labels) * len(prompts) > 10 * self.limits.labels:
            raise RequestError("too many labels times prompts; send fewer prompts", param="prompts")
        items = read_items(said.get("input"), "input", self.model, self.limits)
        data: list[JsonObject] = [{}] * len(items)
        before = self.model.truncation_counts
        for numbers, inputs in _batches(items):
            scored = self.model.classify(labels, prompts, **inputs).top(len(labels))
            for number, scores in zip(numbers, scored, strict=True):
                found = [{"label": each["label"], "score": each["probability"]} for each in scores]
                data[number] = {
                    "object": "classification",
                    "index": number,
                    "prediction": found[0]["label"],
                    "score": found[0]["score"],
                    "predictions": found,
                }
        return {"object": "list", "data": data, "model": self.name, "truncated": self._truncated(before)}

    def search(self, body: bytes) -> JsonObject:
        """Answer ``POST /v1/search``: the nearest rows of the index.

        Args:
            body: JSON with one ``input``, and optionally ``k``, ``modality`` of the results, and ``model``.

        Raises:
            RequestError: The request is invalid, or there is no index.
            UserError: The model cannot use the input.
        """
        said = read_json(body)
        self._check(said, ("input", "k", "modality"))
        if self.index is None:
            raise RequestError("no index is served; start with --index", HTTPStatus.NOT_FOUND)
        k = _whole(said.get("k", RESULTS), "k", self.limits.results)
        modality = said.get("modality")
        if modality is not None and not isinstance(modality, str):
            raise RequestError("modality must be a string", param="modality")
        where = None if modality is None else "modality = '" + modality.replace("'", "''") + "'"
        item: Query = read_item(said.get("input"), "input", self.model, self.limits)
        self.index.refresh()
        before = self.model.truncation_counts
        hits = self.index.search(k=k, where=where, **item)
        fuse = self.model.backbone.default_fuse(item) if len(item) > 1 else None
        data = [{"index": number, **self._result(hit)} for number, hit in enumerate(hits)]
        truncated = self._truncated(before)
        return {"object": "list", "data": data, "model": self.name, "fuse": fuse, "truncated": truncated}

    def _result(self, hit: Hit) -> JsonObject:
        name = self.files.add(hit)
        file = None if name is None else self.files.find(name)
        shown = file is not None and file.media_type is not None
        title = Path(hit.path).name if hit.path else hit.text.partition("\n")[0] or hit.id
        return {
            "object": "search_result",
            "modality": hit.modality,
            "score": hit.score,
            "title": title,
            "text": hit.text,
            "metadata": {name: value for name, value in hit.metadata.items() if value == value},  # no NaN
            "file": f"/files/{name}" if shown else None,
            "thumbnail": f"/thumbnails/{name}" if name is not None and hit.modality == "image" else None,
        }

    def _encode(self, items: Sequence[Item], dimensions: int | None, normalized: bool) -> Tensor:
        """Return one vector for each item."""
        vectors = torch.empty(len(items), self.model.dim if dimensions is None else dimensions)
        for numbers, inputs in _batches(items):
            vectors[numbers] = self.model.encode(
                truncate_dim=dimensions, normalize_embeddings=normalized, **inputs
            )
        return vectors

    def _truncated(self, before: Mapping[str, int]) -> JsonObject:
        """Return the number of inputs, by modality, that were longer than the model reads."""
        counts = {name: count - before[name] for name, count in self.model.truncation_counts.items()}
        return {name: count for name, count in counts.items() if count}

    def _tokens(self, items: Sequence[Item]) -> int:
        """Return the number of tokens that the model reads, without its CLS tokens."""
        return sum(self.model.processor(name)(value).length for item in items for name, value in item.items())

    def _texts(self, said: object, param: str) -> list[str]:
        if not isinstance(said, list) or not said or not all(isinstance(each, str) for each in said):
            raise RequestError(f"{param} must be a list of one or more texts", param=param)
        if len(said) > self.limits.labels:
            raise RequestError(f"{param}: {len(said)}; {self.limits.labels} at most", param=param)
        if max(map(len, said)) > self.limits.characters:
            raise RequestError(f"{param}: {self.limits.characters} characters at most", param=param)
        return said

    def _check(self, said: JsonObject, known: Sequence[str]) -> None:
        for name in said:
            if name not in (*known, "model"):
                hint = nearest(name, (*known, "model"))
                raise RequestError(f"unknown field {name[:100]!r}; {hint}", param=name[:100])
        asked = said.get("model", self.name)
        if asked != self.name:
            raise RequestError(
                f"no model {str(asked)[:100]!r} here; it is {self.name!r}",
                HTTPStatus.NOT_FOUND,
                "model",
                "model_not_found",
            )


def _batches(items: Sequence[Item]) -> Iterator[tuple[list[int], Query]]:
    """Yield the numbers of items of the same modalities, and their values by modality."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, item in enumerate(items):
        groups.setdefault(tuple(sorted(item)), []).append(number)
    for names, numbers in groups.items():
        yield numbers, {name: [items[number][name] for number in numbers] for name in names}


def read_json(body: bytes) -> JsonObject:
    """Return the object of a request's body.

    Raises:
        RequestError: It is no JSON, no object, or of too many parts.
    """
    if sum(map(body.count, (b"{", b"[", b","))) > MOST_VALUES:
        raise RequestError(
            f"the body's JSON has more than {MOST_VALUES:,} values", HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        )
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, too long a number; too deeply nested
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise RequestError(f"the body is no JSON: {reason}") from error
    if not isinstance(said, dict):
        raise RequestError("the body must be a JSON object")
    return said


def _message(said: Mapping[str, object]) -> object:
    """Return the one message of a request in the form of chats (vLLM), an input with ``content``."""
    messages = said["messages"]
    if "input" in said:
        raise RequestError("input and messages; send one of both", param="messages")
    if not isinstance(messages, list) or len(messages) != 1 or not isinstance(messages[0], Mapping):
        raise RequestError("messages must be a list of one message", param="messages")
    if messages[0].get("role", "user") != "user" or "content" not in messages[0]:
        raise RequestError("messages[0] must be of the user, with content", param="messages")
    return {"content": messages[0]["content"]}


def _whole(value: object, param: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise RequestError(f"{param}={str(value)[:20]} must be a whole number from 1 to {most}", param=param)
    return value


def _base64(row: np.ndarray[Any, np.dtype[np.float32]]) -> str:
    return base64.b64encode(row.tobytes()).decode()
