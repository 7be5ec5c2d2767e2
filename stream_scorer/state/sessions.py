"""One model, many states. A session is one value of the module's state globals, at rest as bytes.

Bytes cannot be changed behind our back: the state before a record, or before a whole batch, is kept by
keeping a reference, and a snapshot is the session itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from stream_scorer.errors import ModelError
from stream_scorer.ports import Model
from stream_scorer.records import Partition, Record, Snapshot
from stream_scorer.state import values

SessionKey = bytes | None
SCOPES = ("key", "partition", "all")
_ALL = Partition("", -1)


class Sessions:
    """The states of all assigned partitions. Not thread safe: the loop's alone.

    Args:
        model: begun; its state now is where every new session starts.
        scope: "key" (one session per record key, null keys share one per partition), "partition" or
            "all" (one for everything, as a ModelOp engine does).
    Raises:
        ModelError: a state global holds what cannot be kept exactly.
    """

    def __init__(self, model: Model, state_names: tuple[str, ...], scope: str = "key") -> None:
        self._model = model
        self._names = state_names
        self._scope = scope
        self._at_rest: dict[Partition, dict[SessionKey, bytes]] = {}
        self._before: dict[tuple[Partition, SessionKey], tuple[bytes | None, int]] = {}
        self._live: tuple[Partition, SessionKey] | None = None
        self._fresh = self._dump()

    def __len__(self) -> int:
        return sum(map(len, self._at_rest.values()))

    def enter(self, record: Record) -> None:
        """Put the state of the record's session into the module."""
        at = self._place(record)
        if at == self._live:
            return
        self._load(self._at_rest.get(at[0], {}).get(at[1], self._fresh))
        self._live = at

    def keep(self, record: Record) -> None:
        """The record was scored: its session is now what the module holds."""
        at = self._live
        assert at is not None, "keep() without enter()"
        sessions = self._at_rest.setdefault(at[0], {})
        before, _ = self._before.get(at) or (sessions.get(at[1]), 0)
        sessions[at[1]] = self._dump()
        self._before[at] = before, record.offset + 1

    def undo(self, record: Record) -> None:
        """The record was not scored: its session is as it was before."""
        self._live = None
        self.enter(record)

    def settle(self) -> None:
        """What was kept since the last call is committed."""
        self._before.clear()

    def roll_back(self) -> None:
        """What was kept since the last `settle` never happened."""
        for (partition, key), (before, _) in self._before.items():
            sessions = self._at_rest.get(partition)
            if sessions is None:
                continue
            if before is None:
                sessions.pop(key, None)
            else:
                sessions[key] = before
        self._before.clear()
        self._live = None

    def unsettled(self) -> Iterator[Snapshot]:
        """The sessions kept since the last `settle`, each with the offset after its last record."""
        for (partition, key), (_, offset) in self._before.items():
            yield Snapshot(partition, key, offset, self._at_rest[partition][key])

    def restore(self, snapshot: Snapshot) -> None:
        """A session from before this process; a snapshot without state drops it."""
        sessions = self._at_rest.setdefault(snapshot.partition, {})
        if snapshot.state is None:
            sessions.pop(snapshot.key, None)
        else:
            sessions[snapshot.key] = snapshot.state

    def drop(self, partition: Partition) -> None:
        """The partition has left: so do its sessions."""
        self._at_rest.pop(partition, None)
        self._before = {at: before for at, before in self._before.items() if at[0] != partition}
        if self._live is not None and self._live[0] == partition:
            self._live = None

    def reset(self) -> None:
        """Forget all sessions and leave the module as it was begun."""
        self._at_rest.clear()
        self._before.clear()
        self._live = None
        self._load(self._fresh)

    def _place(self, record: Record) -> tuple[Partition, SessionKey]:
        if self._scope == "key":
            return record.partition, record.key
        return (record.partition if self._scope == "partition" else _ALL), None

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
