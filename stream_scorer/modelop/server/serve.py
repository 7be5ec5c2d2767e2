"""The composition root of `stream-scorer engine`: one port, which serves all instances of the process.

`serve` opens, in this order: the port, the folder of the data and the store in it, the instances (engines, Model Manage,
Connect). It blocks while it serves, and closes all of them in the reverse order: jets end before the store closes.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import uvicorn

from stream_scorer.errors import EXIT_DONE, EXIT_INTERRUPTED, SettingsError
from stream_scorer.modelop.server.app import make_app
from stream_scorer.modelop.server.bodies import Bodies
from stream_scorer.modelop.server.connections import Connections
from stream_scorer.modelop.server.guard import SAFE_HEADERS, Guard
from stream_scorer.modelop.server.hosted_fleet import HostedFleet
from stream_scorer.modelop.server.http_protocol import HttpProtocol
from stream_scorer.modelop.server.listening import Server, most_connections
from stream_scorer.modelop.server.probes import Traffic
from stream_scorer.modelop.server.settings import MIB, EngineSettings, baked_from, is_loopback, read_token
from stream_scorer.modelop.server.store import Store
from stream_scorer.modelop.server.websocket_protocol import MAX_MESSAGE, WebSocketProtocol
from stream_scorer.parsing.addresses import Address, listen
from stream_scorer.system.few_lines import FewOfAKind
from stream_scorer.system.folders import others_may_write

log = logging.getLogger(__name__)
_LAST_ANSWERS_S = 3


def serve(settings: EngineSettings) -> int:
    """Serve until SIGTERM or SIGINT. Blocks. Returns the exit code; closes all that it opened.

    A second signal ends open requests at once. Raises SettingsError and ModelError before it serves.
    """
    token = read_token(settings.token, "--token") if settings.token else None
    baked = baked_from(os.environ)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(contextlib.closing(listen(settings.address, "--listen")))
        host, port = settings.address.host, listener.getsockname()[1]
        store = Store(stack.enter_context(_own_folder(settings.folder())) / "store.sqlite")
        stack.callback(store.close)
        fleet = HostedFleet(settings, baked, store, (host, port))
        stack.callback(fleet.close)
        connections = Connections(most_connections(settings.max_connections))
        bodies = Bodies(settings.max_body * MIB, settings.max_bodies * MIB)
        traffic = Traffic(connections, bodies)
        app = Guard(make_app(fleet, bodies, traffic), token, traffic, local=is_loopback(host))
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=HttpProtocol,
            ws=WebSocketProtocol,
            ws_max_size=MAX_MESSAGE,
            ws_per_message_deflate=False,
            headers=SAFE_HEADERS,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=_LAST_ANSWERS_S,
        )
        try:
            config.load()
        except (OSError, ValueError) as error:
            raise SettingsError(f"--tls-cert, --tls-key: cannot be used ({error}).") from error
        scheme = "https" if settings.tls_cert else "http"
        log.info("serving %s on %s://%s, data in %s", _names(fleet), scheme, Address(host, port), settings.folder())
        _limit_log_lines()
        return _run(Server(config, connections), listener)


def _run(server: uvicorn.Server, listener: socket.socket) -> int:
    """Serve until a signal comes, and return the exit code.

    uvicorn's own handlers are not used: they would end the process by the signal, before the jets have ended.
    """
    received: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        server.force_exit = bool(received)
        server.should_exit = True
        received.append(number)

    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    server.run(sockets=[listener])
    log.info("stopping")
    return EXIT_INTERRUPTED if received and received[0] == signal.SIGINT else EXIT_DONE


@contextlib.contextmanager
def _own_folder(folder: Path) -> Iterator[Path]:
    """Make and lock the folder, and unlock it after the block. Raises SettingsError: it cannot be made, or is locked.

    Two servers on one store would each know only their own changes.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Whoever can write to the folder may have put a link, or a pipe that blocks, in the place of the lock.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        lock = os.fdopen(os.open(folder / "lock", flags, 0o600), "rb", buffering=0)
    except OSError as error:
        raise SettingsError(f"--data {folder}: {error.strerror}. Give a directory that can be written.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SettingsError(f"--data {folder}: another engine uses it. Stop that one, or give another.") from error
        if text := others_may_write(folder):
            log.warning("--data %s: %s. Who can write to it gives the engine models, which are code.", folder, text)
        yield folder


def _limit_log_lines() -> None:
    """Log the lines of uvicorn and asyncio as ours are; of these and of our own, few that a client can cause at will."""
    handlers = logging.getLogger("stream_scorer").handlers
    for name in ("uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers[:], logger.propagate = handlers, False
        logger.setLevel(logging.WARNING)
    few = FewOfAKind()
    for name in ("uvicorn.error", "asyncio", *(f"{__package__}.{part}" for part in ("api", "listening"))):
        logging.getLogger(name).addFilter(few)


def _names(fleet: HostedFleet) -> str:
    manage = [fleet.model_manage.name] if fleet.model_manage else []
    return ", ".join(["connect", *manage, *(engine.name for engine in fleet.engines)])
