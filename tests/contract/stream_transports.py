"""The transports of ModelOp streams behind one face: a descriptor, what feeds it, and what a reader then sees."""

from __future__ import annotations

import contextlib
import http.server
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from stream_scorer.errors import EndOfInput
from stream_scorer.ports import Inlet, Outlet
from support.kafka import Kafka


class Features(NamedTuple):
    """live: records come while it is open, and there is no end but an end record. most: bytes of a record.

    boundaries: a piece is a record, so that a record may hold a line break.
    """

    boundaries: bool = False
    live: bool = False
    loop: bool = False
    most: int = 1 << 20


class TransportCase:
    """One end of a stream. `feed` is called once the inlet is open, with what the descriptor was made for."""

    features = Features()
    environment: Mapping[str, str] = {}

    def source(self, records: list[bytes]) -> Any:
        """The Transport that gives these records."""
        raise NotImplementedError

    def feed(self, inlet: Inlet, records: list[bytes]) -> None:
        """Of live transports: send what the source was made for."""

    def target(self) -> Any:
        """The Transport to write to."""
        raise NotImplementedError

    def written(self, outlet: Outlet) -> bytes:
        """All that was written, the outlet being finished; of a transport with boundaries, records end in a line break."""
        raise NotImplementedError

    def close(self) -> None:
        pass


class InlineArray(TransportCase):
    features = Features(boundaries=True, loop=True)

    def source(self, records: list[bytes]) -> Any:
        return {"Type": "inline", "Data": [record.decode() for record in records]}


class InlineText(TransportCase):
    features = Features(loop=True)

    def source(self, records: list[bytes]) -> Any:
        return {"Type": "inline", "Data": "".join(record.decode() + "\n" for record in records)}


class File(TransportCase):
    features = Features(loop=True)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def source(self, records: list[bytes]) -> Any:
        (self._folder / "in").write_bytes(b"".join(record + b"\n" for record in records))
        return {"Type": "file", "Path": str(self._folder / "in")}

    def target(self) -> Any:
        (self._folder / "out").write_bytes(b"what was there before")
        return {"Type": "file", "Path": str(self._folder / "out")}

    def written(self, outlet: Outlet) -> bytes:
        return (self._folder / "out").read_bytes()


class Rest(TransportCase):
    def __init__(self, mode: str) -> None:
        self._mode = mode
        self.features = Features(boundaries=mode == "simple", live=True)

    def source(self, records: list[bytes]) -> Any:
        return {"Type": "REST", "Mode": self._mode}

    target = lambda self: self.source([])  # noqa: E731

    def feed(self, inlet: Inlet, records: list[bytes]) -> None:
        if self._mode == "simple":
            pieces = records
        else:  # any piece of the stream
            data = b"".join(record + b"\n" for record in records)
            pieces = [data[at : at + 7] for at in range(0, min(len(data), 5000), 7)] + [data[5005:]]
        for piece in pieces:
            inlet.post(piece)

    def written(self, outlet: Outlet) -> bytes:
        found = b""
        with contextlib.suppress(EndOfInput):
            while (piece := outlet.take(1)) is not None:
                found += piece + (b"\n" if self._mode == "simple" else b"")
        return found


class Http(TransportCase):
    def __init__(self, *, chunked: bool) -> None:
        self._chunked = chunked
        self.features = Features(boundaries=chunked, loop=True)
        self._body: list[bytes] = []
        self._posted: list[bytes] = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self._url = f"http://127.0.0.1:{self._server.server_port}/data.json?x=1"

    def source(self, records: list[bytes]) -> Any:
        self._body = records
        return {"Type": "HTTP", "Url": self._url, "Chunked": self._chunked}

    def target(self) -> Any:
        return {"Type": "HTTP", "Url": self._url}

    def written(self, outlet: Outlet) -> bytes:
        return b"".join(self._posted)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        end = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if end._chunked:
                    self._send(200, {"Transfer-Encoding": "chunked"})
                    for chunk in (*filter(None, end._body), b""):
                        self.wfile.write(b"%x; name=value\r\n%b\r\n" % (len(chunk), chunk))
                    return
                body = b"".join(record + b"\n" for record in end._body)
                wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
                body = body[int(wanted[1]) :] if wanted else body
                self._send(206 if wanted else 200, {"Content-Length": str(len(body)), "Connection": "close"})
                self.wfile.write(body)

            def do_POST(self) -> None:
                while size := int(self.rfile.readline(), 16):
                    end._posted.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                self._send(204, {})

            def _send(self, status: int, headers: dict[str, str]) -> None:
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class Tcp(TransportCase):
    """The engine connects; this is the peer that listens."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._found = b""
        self._peer = threading.Thread()

    def _serve(self, work: Callable[[socket.socket], None]) -> Any:
        def run() -> None:
            with contextlib.suppress(OSError):
                connection, _ = self._listener.accept()
                with connection:
                    work(connection)

        self._peer = threading.Thread(target=run)
        self._peer.start()
        return {"Type": "TCP", "Host": "127.0.0.1", "Port": self._listener.getsockname()[1]}

    def source(self, records: list[bytes]) -> Any:
        return self._serve(lambda connection: connection.sendall(b"".join(record + b"\n" for record in records)))

    def target(self) -> Any:
        def read(connection: socket.socket) -> None:
            while data := connection.recv(1 << 16):
                self._found += data

        return self._serve(read)

    def written(self, outlet: Outlet) -> bytes:
        self._peer.join(5)
        return self._found

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        if self._peer.ident:
            self._peer.join(5)
        self._listener.close()


class Udp(TransportCase):
    features = Features(boundaries=True, live=True, most=1 << 14)

    def __init__(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]

    def source(self, records: list[bytes]) -> Any:
        return {"Type": "UDP", "Bind": "127.0.0.1", "Port": self._port}

    def feed(self, inlet: Inlet, records: list[bytes]) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number, record in enumerate(records):
                sender.sendto(record, ("127.0.0.1", self._port))
                if number % 10 == 9:
                    time.sleep(0.01)  # a datagram that finds the buffer full is gone


class Exec(TransportCase):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def source(self, records: list[bytes]) -> Any:
        (self._folder / "in").write_bytes(b"".join(record + b"\n" for record in records))
        return {"Type": "exec", "Run": "/bin/cat", "Args": [str(self._folder / "in")]}

    def target(self) -> Any:
        copy = f"import sys; open({str(self._folder / 'out')!r}, 'wb').write(sys.stdin.buffer.read())"
        return {"Type": "exec", "Run": sys.executable, "Args": ["-c", copy]}

    def written(self, outlet: Outlet) -> bytes:
        return (self._folder / "out").read_bytes()


class S3(TransportCase):
    """An object store of one object that speaks as much of S3 as its own client asks for."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._parts: dict[int, bytes] = {}
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.environment = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._server.server_port}"}

    def source(self, records: list[bytes]) -> Any:
        self._objects["/bucket/in"] = b"".join(record + b"\n" for record in records)
        return self._place("in")

    def target(self) -> Any:
        return self._place("out")

    def _place(self, key: str) -> Any:
        return {
            "Type": "S3",
            "Bucket": "bucket",
            "ObjectKey": key,
            "AccessKeyID": "id",
            "SecretAccessKey": "key",
            "IntegrityChecks": True,
        }

    def written(self, outlet: Outlet) -> bytes:
        return self._objects["/bucket/out"]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        end = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                found = end._objects.get(self._path)
                self._answer(404 if found is None else 200, found or b"")

            def do_POST(self) -> None:
                self._body()
                if "uploads" in self.path:
                    self._answer(200, b"<R><UploadId>u</UploadId></R>")
                else:
                    end._objects[self._path] = b"".join(end._parts[number] for number in sorted(end._parts))
                    self._answer(200, b"<R></R>")

            def do_PUT(self) -> None:
                number = int(re.findall(r"partNumber=(\d+)", self.path)[0])
                end._parts[number] = self._body()
                self._answer(200, b"")

            def do_DELETE(self) -> None:
                end._parts.clear()
                self._answer(204, b"")

            @property
            def _path(self) -> str:
                return self.path.partition("?")[0]

            def _body(self) -> bytes:
                if self.headers.get("Expect") == "100-continue":
                    self.send_response_only(100)
                    self.end_headers()
                data = self.rfile.read(int(self.headers["Content-Length"]))
                if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
                    return data
                found = b""
                while size := int(data.partition(b"\r\n")[0].split(b";")[0], 16):
                    data = data.partition(b"\r\n")[2]
                    found, data = found + data[:size], data[size + 2 :]
                return found

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("ETag", '"e"')
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class KafkaTopic(TransportCase):
    features = Features(boundaries=True, live=True, loop=True, most=1 << 19)

    def __init__(self, kafka: Kafka, name: Callable[[str], str], *, group: bool) -> None:
        self._kafka, self._group = kafka, name("group") if group else None
        self._in, self._out = kafka.create(name("in")), kafka.create(name("out"))

    def _topic(self, topic: str) -> dict[str, Any]:
        return {"Type": "Kafka", "BootstrapServers": [self._kafka.servers], "Topic": topic}

    def source(self, records: list[bytes]) -> Any:
        self._kafka.send(self._in, [{"value": record, "partition": 0} for record in records])
        return self._topic(self._in) | ({"Group": self._group} if self._group else {})

    def target(self) -> Any:
        return self._topic(self._out)

    def written(self, outlet: Outlet) -> bytes:
        return b"".join((one.value() or b"") + b"\n" for one in self._kafka.read(self._out))


TRANSPORTS: dict[str, Callable[[Path], TransportCase]] = {
    "inline, an array": lambda _: InlineArray(),
    "inline, text": lambda _: InlineText(),
    "file": File,
    "REST": lambda _: Rest("simple"),
    "REST, chunked": lambda _: Rest("chunked"),
    "HTTP": lambda _: Http(chunked=False),
    "HTTP, chunked": lambda _: Http(chunked=True),
    "TCP": lambda _: Tcp(),
    "UDP": lambda _: Udp(),
    "exec": Exec,
    "S3": lambda _: S3(),
}


@contextlib.contextmanager
def closing(*ends: Any) -> Iterator[None]:
    try:
        yield
    finally:
        for end in ends:
            end.close()
