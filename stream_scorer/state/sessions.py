"""One model, many states. A session is one value of the module's state globals, at rest as bytes.

Bytes cannot be changed behind our back: the state before a record, or before a whole batch, is kept by
keeping a reference, and a snapshot is the session itself.

What a session is at a record depends on the records of its partition before it and on nothing else:
not on batches, restarts or time of day. That holds for the end of sessions too: both time to live and
cap are judged record by record, by record timestamps and by order of use.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from stream_scorer.errors import ModelError
from stream_scorer.ports import Model
from stream_scorer.records import Partition, Record, Snapshot
from stream_scorer.state import values

Place = tuple[Partition, bytes | None]
_HEAD = struct.Struct("<qq")  # offset after the session's last record, its timestamp in ms (or _NO_TIME)
_NO_TIME = -(2**63)


class Sessions:
    """The states of all assigned partitions. The loop's alone, but for `len` and `bytes_at_rest`: safe from any thread.

    Args:
        model: begun; its state now is where every new session starts.
        state_names: of the globals, for error texts.
        by_key: one session per record key, null keys share one per partition; else one per partition.
        ttl_ms: a session starts anew when its key comes again after more than so many ms of record time.
        cap: most sessions per partition; one more drops the one longest unused.
    Raises:
        ModelError: a state global holds what cannot be kept exactly.
    """

    def __init__(
        self,
        model: Model,
        state_names: tuple[str, ...],
        *,
        by_key: bool = True,
        ttl_ms: int | None = None,
        cap: int | None = None,
    ) -> None:
        self._model = model
        self._names = state_names
        self._by_key = by_key
        self._ttl_ms = ttl_ms
        self._cap = cap
        # Per partition, head + state by key, the longest unused first.
        self._at_rest: dict[Partition, dict[bytes | None, bytes]] = {}
        # Latest record timestamp so far, with a time to live only; and what it was at the last settle.
        self._stream_time: dict[Partition, int] = {}
        self._time_before: dict[Partition, int | None] = {}
        # What changed since the last settle, with its bytes before; None: there was no such session.
        self._before: dict[Place, bytes | None] = {}
        # What the next commit has to save although it is not the work of the records before it.
        self._carried: set[Place] = set()
        self._live: Place | None = None
        self._fresh = self._dump()

    def __len__(self) -> int:
        return sum(map(len, list(self._at_rest.values())))

    @property
    def stateful(self) -> bool:
        """Whether there is any state to keep: a model without state globals has none."""
        return bool(self._names)

    def bytes_at_rest(self) -> int:
        """Bytes of all sessions' state, keys and bookkeeping apart."""
        # Copies, as the loop may change the dicts meanwhile.
        return sum(len(state) for sessions in list(self._at_rest.values()) for state in list(sessions.values()))

    def enter(self, record: Record) -> None:
        """Put the state of the record's session into the module."""
        place = self._place(record)
        if place == self._live and self._ttl_ms is None:
            return
        kept = self._at_rest.get(place[0], {}).get(place[1])
        if kept is None or self._expired(kept, record.timestamp):
            self._load(self._fresh)
        elif place != self._live:
            self._load(kept[_HEAD.size :])
        self._live = place

    def keep(self, record: Record) -> None:
        """The record was scored: its session is now what the module holds."""
        place = self._live
        assert place is not None, "keep() without enter()"
        if not self._names:
            return
        partition, key = place
        sessions = self._at_rest.setdefault(partition, {})
        before = sessions.pop(key, None)  # and in again: the last used is the last in order
        self._before.setdefault(place, before)
        timestamp = _NO_TIME if record.timestamp is None else record.timestamp
        sessions[key] = _HEAD.pack(record.offset + 1, timestamp) + self._dump()
        if self._cap is not None and len(sessions) > self._cap:
            self._evict(partition, next(iter(sessions)))
        if self._ttl_ms is not None:
            self._sweep(partition, timestamp)

    def undo(self, record: Record) -> None:
        """The record was not scored: its session is as it was before."""
        self._live = None
        self.enter(record)

    def settle(self) -> None:
        """What changed since the last call is committed."""
        self._before.clear()
        self._time_before.clear()
        self._carried.clear()

    def carry(self, partition: Partition, also: Iterable[bytes | None] = ()) -> None:
        """What changed so far did so outside of any transaction: no roll back undoes it, the next commit saves it.

        `also` are keys whose saved sessions are to be dropped unless they are here.
        """
        self._carried |= {place for place in self._before if place[0] == partition}
        self._carried |= {(partition, key) for key in also}
        self._before = {place: before for place, before in self._before.items() if place[0] != partition}
        self._time_before.pop(partition, None)

    def roll_back(self) -> None:
        """What changed since the last `settle` never happened."""
        for partition in {place[0] for place in self._before}:
            sessions = self._at_rest.get(partition, {})
            for (changed, key), before in self._before.items():
                if changed == partition:
                    sessions.pop(key, None)
                    if before is not None:
                        sessions[key] = before
            # Offsets tell the order of use as it was.
            self._at_rest[partition] = dict(sorted(sessions.items(), key=lambda item: _HEAD.unpack_from(item[1])[0]))
        for partition, time in self._time_before.items():
            if time is None:
                del self._stream_time[partition]
            else:
                self._stream_time[partition] = time
        self._before.clear()
        self._time_before.clear()
        self._live = None

    def unsettled(self) -> Iterator[Snapshot]:
        """The sessions that changed since the last `settle`; without state, those that are no more."""
        for partition, key in self._before.keys() | self._carried if self._carried else self._before:
            now = self._at_rest.get(partition, {}).get(key)
            if now is None:
                yield Snapshot(partition, key, 0, None, None)
            else:
                offset, timestamp = _HEAD.unpack_from(now)
                yield Snapshot(partition, key, offset, None if timestamp == _NO_TIME else timestamp, now[_HEAD.size :])

    def stream_time(self, partition: Partition) -> int | None:
        """Latest record timestamp so far, to be kept with the sessions; None where none is needed."""
        time = self._stream_time.get(partition, _NO_TIME)
        return None if time == _NO_TIME else time

    def restore(self, partition: Partition, snapshots: Iterable[Snapshot], stream_time: int | None = None) -> int:
        """Put back a partition's sessions from before this process; how many. Raises ModelError.

        The last is tried on the model, so that a state of another shape is found here. Without
        `stream_time` (saved with no time to live) it is the latest of the sessions' own.
        """
        kept = sorted(
            ((snapshot.offset, snapshot) for snapshot in snapshots if snapshot.state is not None),
            key=lambda pair: pair[0],
        )
        sessions = self._at_rest.setdefault(partition, {})
        for offset, snapshot in kept:
            timestamp = _NO_TIME if snapshot.timestamp is None else snapshot.timestamp
            sessions[snapshot.key] = _HEAD.pack(offset, timestamp) + (snapshot.state or b"")
        if kept:
            state = kept[-1][1].state or b""
            try:
                self._load(state)
            except ValueError as error:
                raise ModelError(
                    f"{partition}: a saved session does not fit the model's state ({', '.join(self._names)}): {error}."
                ) from error
            self._live = None
        if self._ttl_ms is not None:
            times = [snapshot.timestamp for _, snapshot in kept if snapshot.timestamp is not None]
            self._stream_time[partition] = max(times, default=_NO_TIME) if stream_time is None else stream_time
        return len(kept)

    def drop(self, partition: Partition) -> None:
        """The partition has left: so do its sessions."""
        self._at_rest.pop(partition, None)
        self._stream_time.pop(partition, None)
        self._time_before.pop(partition, None)
        self._before = {place: before for place, before in self._before.items() if place[0] != partition}
        self._carried = {place for place in self._carried if place[0] != partition}
        if self._live is not None and self._live[0] == partition:
            self._live = None

    def reset(self) -> None:
        """Forget all sessions and leave the module as it was begun."""
        self._at_rest.clear()
        self._stream_time.clear()
        self._time_before.clear()
        self._before.clear()
        self._carried.clear()
        self._live = None
        self._load(self._fresh)

    def _place(self, record: Record) -> Place:
        return record.partition, record.key if self._by_key else None

    def _expired(self, kept: bytes, timestamp: int | None) -> bool:
        if self._ttl_ms is None or timestamp is None:
            return False
        last: int = _HEAD.unpack_from(kept)[1]
        return last != _NO_TIME and timestamp - last > self._ttl_ms

    def _sweep(self, partition: Partition, timestamp: int) -> None:
        """Drop what stream time says can only start anew. The longest unused are first: stop at one that lives."""
        before = self._stream_time.get(partition)
        self._time_before.setdefault(partition, before)
        now = self._stream_time[partition] = timestamp if before is None else max(timestamp, before)
        sessions = self._at_rest[partition]
        while sessions:
            oldest = next(iter(sessions))
            if not self._expired(sessions[oldest], now) or (partition, oldest) == self._live:
                return
            self._evict(partition, oldest)

    def _evict(self, partition: Partition, key: bytes | None) -> None:
        self._before.setdefault((partition, key), self._at_rest[partition][key])
        del self._at_rest[partition][key]

    def _load(self, state: bytes) -> None:
        self._model.set_state(values.load(state))

    def _dump(self) -> bytes:
        state = self._model.state()
        try:
            return values.dump(state)
        except values.Unsupported:
            raise self._unsupported(state) from None

    def _unsupported(self, state: tuple[object, ...]) -> ModelError:
        for name, value in zip(self._names, state, strict=True):
            try:
                values.dump([value])
            except values.Unsupported as error:
                return ModelError(
                    f"model {self._model.name}: global {name!r} is part of the model's state and holds {error}, "
                    "which cannot be saved and restored exactly. Keep numbers, strings, bytes, lists, tuples, sets, "
                    "dicts or numpy arrays in it; or, if it is no state, name what is by a comment "
                    "'# stream-scorer.state: NAME, NAME' in the module."
                )
        raise AssertionError("every value can be saved on its own, but not together")
