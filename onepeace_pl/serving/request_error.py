"""``RequestError``: a request that is answered with an error, in the form of the OpenAI API."""

from __future__ import annotations

from http import HTTPStatus

from onepeace_pl.utils.json_files import JsonObject


class RequestError(Exception):
    """Invalid request, or one that cannot be answered now.

    Args:
        message: One line that says what is wrong, and how to put it right.
        status: HTTP status.
        param: Field of the request that is wrong.
        code: Name of the error, for programs.
    """

    def __init__(
        self,
        message: str,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.status, self.param, self.code = message, status, param, code

    def body(self) -> JsonObject:
        """Return the body of the answer, as of the OpenAI API."""
        busy = self.status == HTTPStatus.TOO_MANY_REQUESTS
        kind = (
            "rate_limit_error" if busy else "invalid_request_error" if self.status < 500 else "server_error"
        )
        error = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": error}
