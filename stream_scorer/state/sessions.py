"""One model, many states. A session is one value of the module's state globals, at rest as bytes.

Bytes cannot be changed behind our back: the state before a record, or before a whole batch, is kept by
keeping a reference, and a snapshot is the session itself.

While a batch lasts, flat states (`state.flat`: windows, counters) stay the live objects they are, and
become bytes once, at its end. That is most of the speed of a cheap model. Any other state goes through
bytes at every change of session, as does everything from the first state on that turns out not to be flat.

What a session is at a record depends on the records of its partition before it and on nothing else:
not on batches, restarts or time of day. That holds for the end of sessions too: both time to live and
cap are judged record by record, by record timestamps and by order of use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stream_scorer.errors import ModelError
from stream_scorer.ports import Model
from stream_scorer.records import Partition, Record, Snapshot, State
from stream_scorer.state import flat, notes, values
from stream_scorer.state.notes import Pending
from stream_scorer.state.shelf import HEAD, NO_TIME, Key, Live, Shelf, head


class Sessions:
    """The states of all assigned partitions. The loop's alone, but for `len` and `bytes_at_rest`: safe from any thread.

    For every record `enter`, then `keep` or `undo`; where there are notes, `pending` comes after `enter` and `await_`
    after `keep`. For every batch `rest`, then `settle`, `carry` or `roll_back`.

    Args:
        model: begun; its state now is where every new session starts.
        state_names: of the globals, for error texts.
        by_key: one session per record key, null keys share one per partition; else one per partition.
        ttl_ms: a session starts anew when its key comes again after more than so many ms of record time.
        cap: most sessions per partition; one more drops the one longest unused.
        noted: a session carries a note beside its state, and so does one of a model without state. Else notes of
            restored sessions are left out.
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
        noted: bool = False,
    ) -> None:
        self._model = model
        self._names = state_names
        self._by_key = by_key
        self._ttl_ms = ttl_ms
        self._cap = cap
        self._noted = noted
        self._stateful = bool(state_names) or noted
        # What follows the state in a session's bytes, and where the state ends in them.
        self._no_note = notes.NOTHING if noted else b""
        self._end = -notes.SIZE if noted else None
        self._ordered = cap is not None or ttl_ms is not None
        self._shelves: dict[Partition, Shelf] = {}
        self._partition: Partition | None = None  # of the last record, and its shelf
        self._shelf = Shelf()
        # Whose state the module holds.
        self._in_module: tuple[Shelf, Key] | None = None
        self._undo: State = ()
        state = model.state()
        self._fresh = self._dump(state)
        self._flat = flat.is_flat([state])

    def __len__(self) -> int:
        return sum(len(shelf.sessions) for shelf in list(self._shelves.values()))

    @property
    def stateful(self) -> bool:
        """Whether there is anything to keep: a model without state globals has no state."""
        return self._stateful

    def bytes_at_rest(self) -> int:
        """Bytes of all sessions' state, keys and bookkeeping apart."""
        # Copies, as the loop may change the dicts meanwhile.
        return sum(len(state) for shelf in list(self._shelves.values()) for state in list(shelf.sessions.values()))

    def enter(self, record: Record) -> None:
        """Put the state of the record's session into the module."""
        if not self._stateful:
            return
        if record.partition is not self._partition:
            self._turn_to(record.partition)
        shelf, key = self._shelf, record.key if self._by_key else None
        holder = self._in_module
        there = holder is not None and holder[1] == key and holder[0] is shelf
        kept = shelf.sessions.get(key)
        expired = self._ttl_ms is not None and kept is not None and self._expired(kept, record.timestamp)
        if there and not expired:
            state = self._model.state()
        else:
            if kept is None or expired:
                state = values.load(self._fresh)
            elif type(kept) is Live:
                state = kept.state
            else:
                state = values.load(kept[HEAD.size : self._end])  # type: ignore[index]
            self._model.set_state(state)
            self._in_module = (shelf, key)
        if self._flat:
            self._undo = flat.copy(state)

    def keep(self, record: Record) -> None:
        """The record was scored: its session is now what the module holds."""
        if not self._stateful:
            return
        assert self._in_module is not None, "keep() without enter()"
        shelf, key = self._in_module
        sessions = shelf.sessions
        kept = sessions.get(key)
        _, offset, _, _, timestamp, _ = record
        if timestamp is None:
            timestamp = NO_TIME
        state = self._model.state()
        if type(kept) is Live:
            kept.offset, kept.timestamp, kept.state = offset + 1, timestamp, state
        else:
            shelf.before.setdefault(key, kept)  # type: ignore[arg-type]
            if self._flat:
                kept = Live(offset + 1, timestamp, state, 0 if kept is None else len(kept))
            else:
                kept = self._at_rest(offset + 1, timestamp, state)
            sessions[key] = kept
        if self._ordered:
            del sessions[key]  # and in again: the last used is the last in order
            sessions[key] = kept
            if self._cap is not None and len(sessions) > self._cap:
                self._evict(shelf, next(iter(sessions)))
            if self._ttl_ms is not None:
                self._sweep(shelf, timestamp)

    def undo(self, record: Record) -> None:
        """The record was not scored: its session is as it was before."""
        shelf, key = self._in_module or (self._shelf, None)
        kept = shelf.sessions.get(key)
        if type(kept) is Live:
            kept.state = self._undo
        self._in_module = None
        self.enter(record)

    def pending(self, record: Record) -> Pending | None:
        """What waits in the session that `record` has entered and is not kept in yet; None for a new session."""
        assert self._in_module is not None, "pending() without enter()"
        shelf, key = self._in_module
        kept = shelf.sessions.get(key)
        if kept is None or self._expired(kept, record.timestamp):
            return None
        taken = shelf.notes.get(key)
        if taken is not None or type(kept) is not bytes:
            return taken
        return Pending(notes.unpack(kept))

    def await_(self, pending: Pending) -> None:
        """From now on this waits in the session that was kept last. It may be filled until `rest`."""
        assert self._in_module is not None, "await_() without keep()"
        shelf, key = self._in_module
        shelf.notes[key] = pending

    def rest(self) -> bool:
        """The end of a batch: what changed is bytes again.

        False if some state was not flat: then nothing since the last `settle` has happened, and from now on it
        goes through bytes record by record. Do the batch again.
        """
        live = [
            (shelf, key, session)
            for shelf in self._shelves.values()
            for key in shelf.before
            if type(session := shelf.sessions.get(key)) is Live
        ]
        if live and not flat.is_flat([session.state for _, _, session in live]):
            self._flat = False
            self.roll_back()
            return False
        for shelf, key, session in live:
            # Same place in the order of the dict.
            shelf.sessions[key] = self._at_rest(session.offset, session.timestamp, session.state)
        if self._noted:
            self._write_notes()
        return True

    def _write_notes(self) -> None:
        for shelf in self._shelves.values():
            for key, pending in shelf.notes.items():
                kept = shelf.sessions[key]
                assert type(kept) is bytes
                shelf.sessions[key] = kept[: -notes.SIZE] + notes.pack(pending.note)
            shelf.notes.clear()

    def settle(self) -> None:
        """What changed since the last call is committed."""
        for shelf in self._shelves.values():
            shelf.before.clear()
            shelf.carried.clear()
            shelf.time_before.clear()

    def carry(self, partition: Partition, also: Iterable[Key] = ()) -> None:
        """What changed so far did so outside of any transaction: no roll back undoes it, the next commit saves it.

        `also` are keys whose saved sessions are to be dropped unless they are here.
        """
        shelf = self._shelves.setdefault(partition, Shelf())
        shelf.carried.update(shelf.before, also)
        shelf.before.clear()
        shelf.time_before.clear()

    def roll_back(self) -> None:
        """What changed since the last `settle` never happened."""
        for shelf in self._shelves.values():
            for key, before in shelf.before.items():
                shelf.sessions.pop(key, None)
                if before is not None:
                    shelf.sessions[key] = before
            if self._ordered and shelf.before:
                # Offsets tell the order of use as it was. All are bytes: what was live has changed since.
                by_offset = sorted(shelf.sessions.items(), key=lambda item: head(item[1])[0])
                shelf.sessions = dict(by_offset)
            shelf.before.clear()
            shelf.notes.clear()
            if shelf.time_before:
                shelf.stream_time = shelf.time_before.pop()
        self._in_module = None

    def unsettled(self) -> Iterator[Snapshot]:
        """The sessions that changed since the last `settle`; without state, those that are no more."""
        for partition, shelf in self._shelves.items():
            for key in shelf.before.keys() | shelf.carried if shelf.carried else shelf.before:
                now = shelf.sessions.get(key)
                if now is None:
                    yield Snapshot(partition, key, 0, None, None)
                else:
                    assert type(now) is bytes, "unsettled() before rest()"
                    offset, timestamp = HEAD.unpack_from(now)
                    yield Snapshot(
                        partition, key, offset, None if timestamp == NO_TIME else timestamp, now[HEAD.size :]
                    )

    def stream_time(self, partition: Partition) -> int | None:
        """Latest record timestamp so far, to be kept with the sessions; None where none is needed."""
        shelf = self._shelves.get(partition)
        return None if shelf is None or shelf.stream_time == NO_TIME else shelf.stream_time

    def restore(self, partition: Partition, snapshots: Iterable[Snapshot], stream_time: int | None = None) -> int:
        """Put back a partition's sessions from before this process; how many. Raises ModelError.

        Every one is read, so that a state which is broken, or of another shape, is found here. Without
        `stream_time` (saved with no time to live) it is the latest of the sessions' own.
        """
        kept = sorted(
            ((snapshot.offset, snapshot) for snapshot in snapshots if snapshot.state is not None),
            key=lambda pair: pair[0],
        )
        shelf = self._shelves.setdefault(partition, Shelf())
        for offset, snapshot in kept:
            timestamp = NO_TIME if snapshot.timestamp is None else snapshot.timestamp
            try:
                state, note = notes.apart(snapshot.state or b"", len(self._names))
                self._check_shape(state)
            except ValueError as error:
                raise ModelError(
                    f"{partition}: the saved session of key {snapshot.key!r} does not fit the model's state "
                    f"({', '.join(self._names)}): {error}."
                ) from error
            shelf.sessions[snapshot.key] = HEAD.pack(offset, timestamp) + state + (note if self._noted else b"")
        if self._ttl_ms is not None:
            times = [snapshot.timestamp for _, snapshot in kept if snapshot.timestamp is not None]
            shelf.stream_time = max(times, default=NO_TIME) if stream_time is None else stream_time
        return len(kept)

    def _check_shape(self, state: bytes) -> None:
        count = len(values.load(state))
        if count != len(self._names):
            raise ValueError(f"{count} values for {len(self._names)} names")

    def drop(self, partition: Partition) -> None:
        """The partition has left: so do its sessions."""
        shelf = self._shelves.pop(partition, None)
        self._partition = None
        if self._in_module is not None and self._in_module[0] is shelf:
            self._in_module = None

    def reset(self) -> None:
        """Forget all sessions and leave the module as it was begun."""
        self._shelves.clear()
        self._partition = self._in_module = None
        self._model.set_state(values.load(self._fresh))

    def _turn_to(self, partition: Partition) -> None:
        shelf = self._shelves.get(partition)
        if shelf is None:
            shelf = self._shelves[partition] = Shelf()
        self._shelf, self._partition = shelf, partition

    def _expired(self, kept: bytes | Live, timestamp: int | None) -> bool:
        if self._ttl_ms is None or timestamp is None:
            return False
        last = head(kept)[1]
        return last != NO_TIME and timestamp - last > self._ttl_ms

    def _sweep(self, shelf: Shelf, timestamp: int) -> None:
        """Drop what stream time says can only start anew. The longest unused are first: stop at one that lives."""
        before = shelf.stream_time
        if not shelf.time_before:
            shelf.time_before.append(before)
        now = shelf.stream_time = timestamp if before is None else max(timestamp, before)
        while shelf.sessions:
            oldest = next(iter(shelf.sessions))
            if not self._expired(shelf.sessions[oldest], now) or (shelf, oldest) == self._in_module:
                return
            self._evict(shelf, oldest)

    def _evict(self, shelf: Shelf, key: Key) -> None:
        evicted = shelf.sessions.pop(key)
        shelf.notes.pop(key, None)
        if type(evicted) is bytes:
            shelf.before.setdefault(key, evicted)

    def _at_rest(self, offset: int, timestamp: int, state: State) -> bytes:
        return HEAD.pack(offset, timestamp) + self._dump(state) + self._no_note

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
