"""Records that no well-behaved client writes, sent by librdkafka itself: there header names are bytes."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from pathlib import Path

import confluent_kafka

_TOPIC, _PARTITION, _VALUE, _KEY, _MSGFLAGS, _HEADER, _END = 1, 3, 4, 5, 7, 9, 0
_COPY = 2


def send_raw(servers: str, topic: str, value: bytes, key: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """One record to partition 0, acknowledged."""
    folder = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(folder.glob("librdkafka-*"))))
    library.rd_kafka_conf_new.restype = library.rd_kafka_new.restype = ctypes.c_void_p
    conf, error = ctypes.c_void_p(library.rd_kafka_conf_new()), ctypes.create_string_buffer(200)
    library.rd_kafka_conf_set(conf, b"bootstrap.servers", servers.encode(), error, 200)
    producer = ctypes.c_void_p(library.rd_kafka_new(0, conf, error, 200))
    line: list[object] = [_TOPIC, ctypes.c_char_p(topic.encode()), _PARTITION, ctypes.c_int(0), _MSGFLAGS, _COPY]
    for kind, data in ((_VALUE, value), (_KEY, key)):
        line += [kind, ctypes.c_char_p(data), ctypes.c_size_t(len(data))]
    for name, data in headers:
        line += [_HEADER, ctypes.c_char_p(name), ctypes.c_char_p(data), ctypes.c_ssize_t(len(data))]
    assert library.rd_kafka_producev(producer, *line, _END) == 0
    assert library.rd_kafka_flush(producer, 10_000) == 0
    library.rd_kafka_destroy(producer)
