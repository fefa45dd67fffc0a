"""Queue of model calls: one at a time, in a thread of its own; a bounded number waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from typing import TypeVar

from onepeace_pl.serving.limits import Limits
from onepeace_pl.serving.request_error import RequestError

T = TypeVar("T")


class ModelQueue:
    """Calls of a model, in the order of the requests.

    Args:
        limits: Number of requests that wait, and for how long.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits, self._taken = limits, 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place in the queue, for as long as a request is read and answered.

        Raises:
            RequestError: All are taken.
        """
        if self._taken > self._limits.waiting:  # one is served, the others wait
            raise RequestError(
                "too many requests at once; try again in a moment",
                HTTPStatus.TOO_MANY_REQUESTS,
                code="overloaded",
            )
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def run(self, call: Callable[[], T]) -> T:
        """Return the result of a call in the model's thread.

        A call that has begun cannot be stopped: after its time it goes on, and its result is dropped.

        Raises:
            RequestError: It took too long, its wait counted.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await loop.run_in_executor(self._thread, call)
        except TimeoutError:
            raise RequestError(
                f"not answered within {self._limits.seconds:g} s; send less, or try again later",
                HTTPStatus.SERVICE_UNAVAILABLE,
                code="timeout",
            ) from None

    def close(self) -> None:
        """Wait for the call in progress, and drop those that wait."""
        self._thread.shutdown(wait=True, cancel_futures=True)
