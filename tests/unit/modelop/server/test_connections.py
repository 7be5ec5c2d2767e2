"""Who may keep a connection, and for how long; how much memory bodies may take together."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
from starlette.requests import Request

from stream_scorer.modelop.server.answers import HttpError
from stream_scorer.modelop.server.bodies import SMALL, Bodies
from stream_scorer.modelop.server.connections import (
    CLOSING_S,
    HEAD_S,
    LINGER_S,
    STALLED_S,
    Connection,
    Connections,
    Phase,
)


class Transport:
    closing = aborted = False

    def is_closing(self):
        return self.closing

    def abort(self):
        self.aborted = True


def _connection(peer="a", *, known=False, phase=Phase.HEAD):
    connection = Connection(peer, socket.socket())
    connection.waiting.close()
    connection.transport, connection.known, connection.phase = Transport(), known, phase
    return connection


@pytest.mark.parametrize(
    ("phase", "limit"), [(Phase.HEAD, HEAD_S), (Phase.LINGER, LINGER_S), (Phase.BUSY, None), (Phase.IDLE, None)]
)
def test_how_long_each_phase_may_take(phase, limit):
    connection = _connection(phase=phase)
    now = time.monotonic()
    assert not connection.overdue(now + (limit or 1000) - 1)
    assert connection.overdue(now + 1000) is (limit is not None)


def test_a_client_that_does_not_read_is_given_up():
    connection = _connection(known=True, phase=Phase.BUSY)
    connection.blocked(True)
    now = time.monotonic()
    assert not connection.overdue(now + STALLED_S - 1)
    assert connection.overdue(now + STALLED_S + 1)
    connection.blocked(False)
    assert not connection.overdue(now + STALLED_S + 1)


def test_a_connection_that_does_not_close_is_given_up():
    connection = _connection(phase=Phase.IDLE)
    connection.transport.closing = True
    assert not connection.overdue(100.0)
    assert connection.overdue(101.0 + CLOSING_S)


def test_the_unknown_of_the_busiest_address_make_room_then_the_idle_and_never_the_busy():
    table = Connections(4)
    one, other, first, second = (_connection("other"), _connection("busy"), _connection("busy"), _connection("new"))
    known = _connection("other", known=True, phase=Phase.IDLE)
    assert all(table.add(each) for each in (one, other, first, known))
    assert table.add(second)
    assert [each.transport.aborted for each in (one, other, first, known)] == [False, True, False, False]
    for each in (one, first, second):
        each.known, each.phase = True, Phase.BUSY
    busy = _connection(known=True, phase=Phase.BUSY)
    assert table.add(busy)
    assert known.transport.aborted
    assert not table.add(_connection())
    assert (len(table), table.displaced, table.refused) == (4, 2, 1)
    table.remove(busy)
    assert table.add(_connection())


def _request(chunks, *, announced=True):
    waiting = [*chunks]

    async def receive():
        await asyncio.sleep(0)
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    header = (b"content-length", b"%d" % sum(map(len, chunks))) if announced else (b"transfer-encoding", b"chunked")
    return Request({"type": "http", "method": "POST", "path": "/", "headers": [header]}, receive)


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("size", [SMALL // 2, SMALL * 4, SMALL * 40])
def test_bodies_share_their_room(size, announced):
    """More of them than fit, and some larger than all the room: all come through, one after the other."""
    bodies, most = Bodies(SMALL * 100, SMALL * 17), 0

    async def one():
        nonlocal most
        async with bodies.body(_request([b"x" * (size // 4)] * 4, announced=announced)) as body:
            most = max(most, bodies.held)
            await asyncio.sleep(0)
            assert len(body) == size

    async def all_of_them():
        await asyncio.gather(*(one() for _ in range(10)))

    asyncio.run(all_of_them())
    assert bodies.held == 0
    assert most <= max(SMALL * 17, size + (1 << 20))


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_too_large_holds_nothing(announced):
    bodies = Bodies(SMALL * 2, SMALL * 50)

    async def one():
        async with bodies.body(_request([b"x" * SMALL] * 3, announced=announced)):
            pass

    with pytest.raises(HttpError) as refused:
        asyncio.run(one())
    assert refused.value.status == 413
    assert bodies.held == 0


def test_a_body_that_does_not_come(monkeypatch):
    monkeypatch.setattr("stream_scorer.modelop.server.bodies.GAP_S", 0.01)
    bodies = Bodies(SMALL * 9, SMALL * 9)

    async def never():
        await asyncio.Event().wait()

    async def one():
        headers = [(b"content-length", b"300000")]
        async with bodies.body(Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, never)):
            pass

    with pytest.raises(HttpError, match="too slowly") as refused:
        asyncio.run(one())
    assert (refused.value.status, bodies.held) == (408, 0)
