"""One model, many states. A session is one value of the module's state globals, kept as bytes between batches.

Bytes cannot change by accident. So keeping the state before a record, or before a batch, costs a reference and no copy,
and a snapshot is the session itself.

During a batch, flat states (`state.flat`: windows, counters) stay Python objects and become bytes once, at its end: most of
the speed of a cheap model. Other states go through bytes at every change of session; so do all once one is not flat.

What a session is at a record depends on the earlier records of its partition and on nothing else: not on batches, restarts
or the time of day. That holds for the end of sessions too: time to live and cap are checked at each record, by record
timestamps and by order of use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stream_scorer.errors import ModelError
from stream_scorer.ports import Model
from stream_scorer.records import Partition, Record, Snapshot, State
from stream_scorer.state import flat, pending_forecasts, values
from stream_scorer.state.partition_sessions import HEAD, NO_TIME, Key, LiveSession, PartitionSessions, expired
from stream_scorer.state.pending_forecasts import Placeholder


class Sessions:
    """The states of all assigned partitions. Used by the loop's thread only; `len` and `state_bytes` by any thread.

    For every record: `enter`, then `keep` or `undo`. If forecasts are judged, `pending` follows `enter` and `set_pending`
    follows `keep`. For every batch: `end_batch`, then `settle`, `carry` or `roll_back`.

    Args:
        model: begun; its state now is the state of every new session.
        state_names: of the globals, for error texts.
        by_key: one session per record key, null keys share one per partition; else one per partition.
        ttl_ms: a session starts anew if the next record of its key is later than this by record time; None: never.
        cap: most sessions per partition; one more drops the session that has been unused longest.
        with_forecasts: a session keeps a pending forecast beside its state, and a model without state has sessions, too.
            Else pending forecasts in restored sessions are dropped.
    Raises:
        ModelError: a state global holds a value that cannot be saved exactly.
    """

    def __init__(
        self,
        model: Model,
        state_names: tuple[str, ...],
        *,
        by_key: bool = True,
        ttl_ms: int | None = None,
        cap: int | None = None,
        with_forecasts: bool = False,
    ) -> None:
        self._model = model
        self._names = state_names
        self._by_key = by_key
        self._ttl_ms = ttl_ms
        self._cap = cap
        self._with_forecasts = with_forecasts
        self._stateful = bool(state_names) or with_forecasts
        self._no_forecast = pending_forecasts.NO_FORECAST if with_forecasts else b""
        self._state_end = -pending_forecasts.PACKED_SIZE if with_forecasts else None  # in the bytes of a session
        self._ordered = cap is not None or ttl_ms is not None
        self._partitions: dict[Partition, PartitionSessions] = {}
        self._partition: Partition | None = None  # of the last record, and its sessions
        self._current = PartitionSessions()
        self._in_module: tuple[PartitionSessions, Key] | None = None  # the session whose state the module holds
        self._state_before: State = ()  # of the record that was entered last; for flat states only
        state = model.state()
        self._fresh = self._dump(state)
        self._flat = flat.is_flat([state])

    def __len__(self) -> int:
        return sum(len(partition.sessions) for partition in list(self._partitions.values()))

    @property
    def stateful(self) -> bool:
        """Whether there is anything to keep: a model without state globals has no state."""
        return self._stateful

    def state_bytes(self) -> int:
        """Bytes of all sessions' state, without keys and bookkeeping."""
        # Copies, because the loop may change the dicts meanwhile.
        partitions = list(self._partitions.values())
        return sum(len(session) for partition in partitions for session in list(partition.sessions.values()))

    def enter(self, record: Record) -> None:
        """Put the state of the record's session into the module."""
        if not self._stateful:
            return
        if record.partition is not self._partition:
            self._turn_to(record.partition)
        current, key = self._current, record.key if self._by_key else None
        holder = self._in_module
        in_module = holder is not None and holder[1] == key and holder[0] is current
        session = current.sessions.get(key)
        stale = self._ttl_ms is not None and session is not None and expired(session, record.timestamp, self._ttl_ms)
        if in_module and not stale:
            state = self._model.state()
        else:
            if session is None or stale:
                state = values.load(self._fresh)
            elif type(session) is LiveSession:
                state = session.state
            else:
                state = values.load(session[HEAD.size : self._state_end])  # type: ignore[index]
            self._model.set_state(state)
            self._in_module = (current, key)
        if self._flat:
            self._state_before = flat.copy(state)

    def keep(self, record: Record) -> None:
        """The record was scored: its session is now what the module holds."""
        if not self._stateful:
            return
        assert self._in_module is not None, "keep() without enter()"
        partition, key = self._in_module
        sessions = partition.sessions
        session = sessions.get(key)
        _, offset, _, _, timestamp, _ = record
        if timestamp is None:
            timestamp = NO_TIME
        state = self._model.state()
        if type(session) is LiveSession:
            session.offset, session.timestamp, session.state = offset + 1, timestamp, state
        else:
            partition.before.setdefault(key, session)  # type: ignore[arg-type]
            if self._flat:
                session = LiveSession(offset + 1, timestamp, state, 0 if session is None else len(session))
            else:
                session = self._as_bytes(offset + 1, timestamp, state)
            sessions[key] = session
        if self._ordered:
            del sessions[key]  # and in again: the last used is the last in order
            sessions[key] = session
            if self._cap is not None and len(sessions) > self._cap:
                partition.evict(next(iter(sessions)))
            if self._ttl_ms is not None:
                partition.sweep(timestamp, self._ttl_ms, key)

    def undo(self, record: Record) -> None:
        """The record was not scored: its session is as it was before."""
        partition, key = self._in_module or (self._current, None)
        session = partition.sessions.get(key)
        if type(session) is LiveSession:
            session.state = self._state_before
        self._in_module = None
        self.enter(record)

    def pending(self, record: Record) -> Placeholder | None:
        """The forecast that waits in the session of `record`, after `enter` and before `keep`; None for a new session."""
        assert self._in_module is not None, "pending() without enter()"
        partition, key = self._in_module
        session = partition.sessions.get(key)
        if session is None or (self._ttl_ms is not None and expired(session, record.timestamp, self._ttl_ms)):
            return None
        placeholder = partition.forecasts.get(key)
        if placeholder is not None or type(session) is not bytes:
            return placeholder
        return Placeholder(pending_forecasts.unpack(session))

    def set_pending(self, placeholder: Placeholder) -> None:
        """The session that was kept last now waits for this forecast. It may be filled in until `end_batch`."""
        assert self._in_module is not None, "set_pending() without keep()"
        partition, key = self._in_module
        partition.forecasts[key] = placeholder

    def end_batch(self) -> bool:
        """Turns the sessions that the batch has changed into bytes.

        Returns False if some state was not flat: then all since the last `settle` is undone, and from now on states go
        through bytes at every record. Score the batch again.
        """
        live = [
            (partition, key, session)
            for partition in self._partitions.values()
            for key in partition.before
            if type(session := partition.sessions.get(key)) is LiveSession
        ]
        if live and not flat.is_flat([session.state for _, _, session in live]):
            self._flat = False
            self.roll_back()
            return False
        for partition, key, session in live:
            # Assigned to the same key, so the order of the dict stays.
            partition.sessions[key] = self._as_bytes(session.offset, session.timestamp, session.state)
        if self._with_forecasts:
            for partition in self._partitions.values():
                partition.write_forecasts()
        return True

    def settle(self) -> None:
        """What changed since the last call is committed."""
        for partition in self._partitions.values():
            partition.settle()

    def carry(self, partition: Partition, also: Iterable[Key] = ()) -> None:
        """What changed so far did so outside of any transaction: no roll back undoes it, the next commit saves it.

        also: keys whose saved sessions are to be dropped unless they are here.
        """
        self._partitions.setdefault(partition, PartitionSessions()).carry(also)

    def roll_back(self) -> None:
        """Undo what changed since the last `settle`."""
        for partition in self._partitions.values():
            partition.roll_back(ordered=self._ordered)
        self._in_module = None

    def unsettled(self) -> Iterator[Snapshot]:
        """The sessions that changed since the last `settle`; without state, those that were dropped."""
        for partition, sessions in self._partitions.items():
            yield from sessions.unsettled(partition)

    def state_of(self, partition: Partition, key: Key) -> State:
        """A copy of the state in a session; that of a new session where there is none. Not within a batch."""
        sessions = self._partitions.get(partition)
        session = None if sessions is None else sessions.sessions.get(key)
        if session is None:
            return values.load(self._fresh)
        assert type(session) is bytes, "state_of() within a batch"
        return values.load(session[HEAD.size : self._state_end])

    def stream_time(self, partition: Partition) -> int | None:
        """Latest record timestamp so far in ms, to be saved with the sessions; None where none is needed."""
        sessions = self._partitions.get(partition)
        return None if sessions is None or sessions.stream_time == NO_TIME else sessions.stream_time

    def restore(self, partition: Partition, snapshots: Iterable[Snapshot], stream_time: int | None = None) -> int:
        """Put back the sessions that an earlier process saved; returns their number.

        Every snapshot is read, so that a broken state, or one of another shape, is found here. Without `stream_time` (it
        was saved with no time to live) the latest of the snapshots' own times is used. Raises ModelError.
        """
        saved = sorted(
            (snapshot for snapshot in snapshots if snapshot.state is not None), key=lambda snapshot: snapshot.offset
        )
        sessions = self._partitions.setdefault(partition, PartitionSessions())
        for snapshot in saved:
            timestamp = NO_TIME if snapshot.timestamp is None else snapshot.timestamp
            try:
                state, forecast = pending_forecasts.split_state(snapshot.state or b"", len(self._names))
                self._check_shape(state)
            except ValueError as error:
                raise ModelError(
                    f"{partition}: the saved session of key {snapshot.key!r} does not fit the model's state "
                    f"({', '.join(self._names)}): {error}."
                ) from error
            forecast = forecast if self._with_forecasts else b""
            sessions.sessions[snapshot.key] = HEAD.pack(snapshot.offset, timestamp) + state + forecast
        if self._ttl_ms is not None:
            times = [snapshot.timestamp for snapshot in saved if snapshot.timestamp is not None]
            sessions.stream_time = max(times, default=NO_TIME) if stream_time is None else stream_time
        return len(saved)

    def _check_shape(self, state: bytes) -> None:
        count = len(values.load(state))
        if count != len(self._names):
            raise ValueError(f"{count} values for {len(self._names)} names")

    def drop(self, partition: Partition) -> None:
        """Drop the sessions of a partition that is no longer assigned."""
        sessions = self._partitions.pop(partition, None)
        self._partition = None
        if self._in_module is not None and self._in_module[0] is sessions:
            self._in_module = None

    def reset(self) -> None:
        """Forget all sessions and put the module into its state after `begin`."""
        self._partitions.clear()
        self._partition = self._in_module = None
        self._model.set_state(values.load(self._fresh))

    def _turn_to(self, partition: Partition) -> None:
        sessions = self._partitions.get(partition)
        if sessions is None:
            sessions = self._partitions[partition] = PartitionSessions()
        self._current, self._partition = sessions, partition

    def _as_bytes(self, offset: int, timestamp: int, state: State) -> bytes:
        return HEAD.pack(offset, timestamp) + self._dump(state) + self._no_forecast

    def _dump(self, state: State) -> bytes:
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
                    "which cannot be saved and restored exactly. Keep numbers, strings, bytes, times, lists, tuples, sets, "
                    "dicts or numpy arrays in it; or, if it is no state, name what is by a comment "
                    "'# stream-scorer.state: NAME, NAME' in the module."
                )
        raise AssertionError("every value can be saved on its own, but not together")
