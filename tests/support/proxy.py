"""A TCP proxy that can be cut: it stands for the network between a service and its broker."""

from __future__ import annotations

import contextlib
import socket
import threading
import time


class Proxy:
    """Forwards 127.0.0.1:port to a target. While cut, bytes stop and new connections hang; neither side notices.

    Args:
        rate: limit in bytes a second to the target, for each connection; None: no limit.
    """

    def __init__(self, port: int, target: int, *, rate: int | None = None) -> None:
        self._target = target
        self._rate = rate
        self._open = threading.Event()
        self._open.set()
        self._closed = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._open.clear()

    def mend(self, *, reset: bool = False) -> None:
        """Let bytes flow again; with `reset`, over new connections only, as after a NAT forgot the old ones."""
        if reset:
            pairs, self._pairs = self._pairs, []
            for pair in pairs:
                for connection in pair:
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
        self._open.set()

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # a blocked accept would keep the port
        self._listener.close()
        self.mend(reset=True)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while not self._closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._connect, args=(near,), daemon=True))
            self._threads[-1].start()

    def _connect(self, near: socket.socket) -> None:
        self._open.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            near.close()
            return
        self._pairs.append((near, far))
        back = threading.Thread(target=self._pump, args=(far, near), daemon=True)
        back.start()
        self._pump(near, far, self._rate)
        back.join()
        near.close()
        far.close()

    def _pump(self, source: socket.socket, sink: socket.socket, rate: int | None = None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16 if rate is None else 1 << 12):
                self._open.wait()
                if rate is not None:
                    time.sleep(len(data) / rate)
                sink.sendall(data)
        for connection in (source, sink):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
