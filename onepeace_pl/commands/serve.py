"""Serve a model over HTTP: a page to search and classify with, and an API of embeddings.

serve MODEL                    the page classifies images and sounds by labels; POST /v1/embeddings
serve MODEL --index DIR        it also searches an index, made by `index`
serve MODEL --port 9000        at another port

Only this machine can reach it, unless --host says otherwise. Ctrl+C ends it.
"""

import argparse
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from onepeace_pl.cli.model_options import add_loading_options, load_model
from onepeace_pl.errors import UserError, first_line
from onepeace_pl.utils.libraries import LibraryError

LOCAL = ("localhost", "127.0.0.1", "[::1]")  # names of this machine
CONNECTIONS = 100
PATIENCE = 10  # seconds for answers in progress when the server ends


def main(argv: Sequence[str]) -> int:
    """Serve until the process is interrupted; return the exit code."""
    options = _parser().parse_args(argv)
    with _importing():
        import uvicorn

        from onepeace_pl.serving.app import create_app

    from onepeace_pl.serving import Limits, Service

    limits = Limits(
        upload_bytes=int(options.max_upload * 1e6),
        inputs=options.max_inputs,
        seconds=options.timeout,
        waiting=options.queue,
    )
    listening = _listen(options.host, options.port)
    with listening:
        model = load_model(options.folder, options)
        index = None
        if options.index is not None:
            from onepeace_pl.search import Index

            index = Index.open(options.index, model)
        service = Service(model, options.name or _name(options.folder), index, limits)
        host, port = listening.getsockname()[:2]
        is_local = host in ("127.0.0.1", "::1")
        app = create_app(service, (*LOCAL, options.host) if is_local else ("*",))
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                limit_concurrency=CONNECTIONS,
                timeout_graceful_shutdown=PATIENCE,
                server_header=False,
            )
        )
        shown = f"[{host}]" if ":" in host else host
        print(f"{service.name} at http://{shown}:{port} (Ctrl+C ends it)", flush=True)
        with suppress(KeyboardInterrupt):  # which uvicorn raises again when it has ended
            server.run([listening])
    print("ended")
    return 0


@contextmanager
def _importing() -> Iterator[None]:
    """Name the extra where an import of the server's libraries fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn", "jinja2"):
            raise
        raise LibraryError(f"serve needs {error.name}: pip install 'onepeace-pl[serve]'") from error


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; before the model is loaded, so that a port in use is told at once."""
    if not 0 <= port <= 65_535:  # which the system would take modulo 65536
        raise UserError(f"--port {port} must be between 0 and 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
    except OSError as error:
        raise UserError(
            f"{host}:{port} cannot be listened at ({first_line(error)}); choose another --port or --host"
        ) from error
    return listening


def _name(folder: str) -> str:
    """Return the name of a model folder, which of a run's ``model`` is that of the run."""
    path = Path(folder).absolute()
    return path.parent.name if path.name == "model" else path.name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="a model folder")
    parser.add_argument("--index", metavar="DIR", help="an index of the model's vectors, to search in")
    parser.add_argument("--name", help="name of the model in the API; default: that of its folder or run")
    network = parser.add_argument_group("network")
    network.add_argument(
        "--host", default="127.0.0.1", help="address to listen at; 0.0.0.0 for all of the machine's"
    )
    network.add_argument(
        "--port", type=int, default=8000, help="0 for any that is free; default: %(default)s"
    )
    limits = parser.add_argument_group("limits")
    limits.add_argument(
        "--max-upload", type=float, default=32, metavar="MB", help="of a request; default: %(default)s"
    )
    limits.add_argument(
        "--max-inputs", type=int, default=64, metavar="N", help="of a request; default: %(default)s"
    )
    limits.add_argument(
        "--timeout", type=float, default=60, metavar="SECONDS", help="of a request; default: %(default)s"
    )
    limits.add_argument(
        "--queue",
        type=int,
        default=8,
        metavar="N",
        help="requests that may wait for the model, which serves one at a time; default: %(default)s",
    )
    add_loading_options(parser.add_argument_group("model"))
    return parser
