"""Starlette application of a model: the page, the JSON endpoints, and the files of search results."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onepeace_pl.errors import UserError
from onepeace_pl.search.previews import thumbnail
from onepeace_pl.serving.model_queue import ModelQueue
from onepeace_pl.serving.page import page
from onepeace_pl.serving.request_error import RequestError
from onepeace_pl.serving.service import Service
from onepeace_pl.serving.shared_files import SharedFile
from onepeace_pl.utils.json_files import JsonObject

_LOG: Final = logging.getLogger(__name__)
_HERE: Final = Path(__file__).parent
_HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; "
        b"media-src 'self' blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
_KEPT: Final = {"cache-control": "private, max-age=3600"}


def create_app(service: Service, hosts: Sequence[str] = ("*",)) -> Starlette:
    """Return the application.

    Args:
        service: What answers requests.
        hosts: Names by which the server may be addressed, so that no website can read from it by a name of its own
            (DNS rebinding); ``*`` for any.
    """
    queue = ModelQueue(service.limits)
    shown = page(service)
    answer = partial(_endpoint, service, queue)

    async def show(_: Request) -> Response:
        return HTMLResponse(shown)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "model": service.name})

    async def models(_: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": service.name, "object": "model"}]})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        queue.close()

    return Starlette(
        routes=[
            Route("/", show),
            Route("/page.css", _asset("page.css", "text/css")),
            Route("/page.js", _asset("page.js", "text/javascript")),
            Route("/healthz", health),
            Route("/v1/models", models),
            Route("/v1/embeddings", answer(service.embeddings), methods=["POST"]),
            Route("/v1/classify", answer(service.classify), methods=["POST"]),
            Route("/v1/search", answer(service.search), methods=["POST"]),
            Route("/files/{name}", partial(_file, service)),
            Route("/thumbnails/{name}", partial(_thumbnail, service)),
        ],
        middleware=[
            Middleware(_SecurityHeaders),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
        ],
        exception_handlers={RequestError: _refused, HTTPException: _not_found, Exception: _failed},
        lifespan=lifespan,
    )


def _endpoint(
    service: Service, queue: ModelQueue, call: Callable[[bytes], JsonObject]
) -> Callable[[Request], object]:
    """Return an endpoint that reads a body, and answers with what a call makes of it."""

    def respond(body: bytes) -> bytes:
        try:
            return json.dumps(call(body)).encode()
        except UserError as error:
            raise RequestError(str(error)) from error

    async def endpoint(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":  # which no other website's page may send
            raise RequestError("send JSON, as application/json", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        with queue.place():
            body = await _body(request, service.limits.upload_bytes, service.limits.seconds)
            content = await queue.run(partial(respond, body))
        return Response(content, media_type="application/json")

    return endpoint


async def _body(request: Request, most: int, seconds: float) -> bytes:
    """Return a request's body.

    Raises:
        RequestError: It is too long, or does not arrive in time.
    """
    too_long = RequestError(
        f"the request is longer than {most / 1e6:g} MB; send less", HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    )
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said[:20]) > most:
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise too_long
    except TimeoutError:
        raise RequestError(
            f"the request did not arrive within {seconds:g} s", HTTPStatus.REQUEST_TIMEOUT
        ) from None
    except ClientDisconnect:
        raise RequestError("the client has gone") from None
    return bytes(body)


def _shared(service: Service, request: Request) -> SharedFile:
    found = service.files.find(request.path_params["name"])
    if found is None or not Path(found.path).is_file():
        raise HTTPException(404)
    return found


async def _file(service: Service, request: Request) -> Response:
    found = _shared(service, request)
    if found.media_type is None:
        raise HTTPException(404)
    return FileResponse(found.path, media_type=found.media_type, headers=_KEPT)


async def _thumbnail(service: Service, request: Request) -> Response:
    found = _shared(service, request)
    if found.modality != "image":
        raise HTTPException(404)
    try:
        content = await run_in_threadpool(thumbnail, found.path)
    except UserError:
        raise HTTPException(404) from None
    return Response(content, media_type="image/jpeg", headers=_KEPT)


def _asset(name: str, media_type: str) -> Callable[[Request], object]:
    content = (_HERE / name).read_bytes()

    async def endpoint(_: Request) -> Response:
        return Response(content, media_type=media_type)

    return endpoint


class _SecurityHeaders:
    """Headers of all answers: a page may use what is served here, and nothing else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        await self.app(scope, receive, with_headers)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    headers = {"retry-after": "1"} if error.status in (429, 503) else None
    return JSONResponse(error.body(), error.status, headers)


async def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path[:100]}: {error.detail}"
    return JSONResponse(
        RequestError(message, HTTPStatus(error.status_code)).body(), error.status_code, error.headers
    )


async def _failed(request: Request, error: Exception) -> Response:
    failed = RequestError("internal error; the server's log has it", HTTPStatus.INTERNAL_SERVER_ERROR)
    _LOG.error("%s %s", request.method, request.url.path, exc_info=error)
    return JSONResponse(failed.body(), failed.status)
