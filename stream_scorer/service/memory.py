"""A log in memory that is as strict as a broker: what is aborted is never seen, what is not committed comes again.

For tests and for trying a model in a notebook. Faults are data: put ABORT among the records and the
transaction that would commit what comes before it is aborted, once. `MemoryLog.refuses` names records whose outputs
are refused each time, and `MemoryLog.refuses_rejects` how often a reject is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum

from stream_scorer.errors import CommitAborted, EndOfInput, Refused
from stream_scorer.parsing.times import start_ms
from stream_scorer.ports import KeepAlive
from stream_scorer.records import Outgoing, Partition, Place, Record, Reject, Snapshot, StateRecord
from stream_scorer.state.snapshots import POSITION_KEY, SnapshotWriter, read_saved


class Fault(Enum):
    ABORT = "abort"


ABORT = Fault.ABORT


class MemoryLog:
    """The topics: what was sent in, and what a committed reader sees.

    `changelog` is what a compacted topic keeps, by its keys. `state` has the same snapshots before they are encoded.
    """

    def __init__(self) -> None:
        self.inputs: list[Record] = []
        self.outputs: list[Outgoing] = []
        self.rejects: list[Reject] = []
        self.state: dict[tuple[Partition, bytes | None], Snapshot] = {}
        self.changelog: dict[tuple[Partition, bytes], bytes] = {}
        self.positions: dict[Partition, int] = {}
        self.faults: list[Fault] = []
        self.refuses: set[Place] = set()
        self.refuses_rejects: dict[Place, int] = {}


class MemorySource:
    """Records in the order given; at their end, EndOfInput."""

    def __init__(self, log: MemoryLog, items: Iterable[Record | Fault]) -> None:
        self._log = log
        self._items: list[Record | Fault] = []
        self.add(items)
        self._at = 0
        self._settled = 0
        self._positions: dict[Partition, int] = {}

    def add(self, items: Iterable[Record | Fault]) -> None:
        """More records at the end, though EndOfInput was raised before."""
        items = list(items)
        self._items += items
        self._log.inputs += [item for item in items if isinstance(item, Record)]

    def add_again(self, records: Iterable[Record]) -> None:
        """Records that the log has already: an earlier source gave them, and they were not committed."""
        self._items += records

    def poll(self, limit: int, timeout_s: float) -> list[Record]:
        if self._at >= len(self._items):
            raise EndOfInput
        records: list[Record] = []
        while self._at < len(self._items) and len(records) < limit:
            item = self._items[self._at]
            if isinstance(item, Fault):
                del self._items[self._at]  # a fault happens once
                self._log.faults.append(item)
                continue
            self._at += 1
            records.append(item)
            self._positions[item.partition] = item.offset + 1
        return records

    @property
    def unsaved(self) -> bool:
        return False

    def positions(self) -> Mapping[Partition, int]:
        return dict(self._positions)

    def reload(self) -> None:
        """Positions only: there is no state store, so sessions stay as they are. Roll them back yourself."""
        self.rewind()

    def settle(self) -> None:
        self._settled = self._at
        self._positions.clear()

    def rewind(self) -> None:
        while self._settled < self._at and self._committed(self._items[self._settled]):
            self._settled += 1
        self._at = self._settled
        self._positions.clear()

    def _committed(self, item: Record | Fault) -> bool:
        """A batch may be committed in parts: then `settle` comes with the last of them only."""
        return isinstance(item, Record) and item.offset < self._log.positions.get(item.partition, 0)

    def close(self) -> None:
        pass


class MemoryInputs:
    """The `Inputs` port over the records that were sent in. All of a partition's records are there, from offset 0."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    def start(self, partition: Partition, start: str, keep_alive: KeepAlive) -> int:
        records = self._of(partition)
        if start == "earliest":
            return 0
        if start == "latest":
            return len(records)
        since = start_ms(start)
        return next((record.offset for record in records if (record.timestamp or 0) >= since), len(records))

    def back(self, partition: Partition, before: int, count: int, keep_alive: KeepAlive) -> int:
        return max(0, before - count)

    def read(self, partition: Partition, first: int, before: int) -> Iterator[list[Record]]:
        yield [record for record in self._of(partition) if first <= record.offset < before]

    def _of(self, partition: Partition) -> list[Record]:
        return [record for record in self._log.inputs if record.partition == partition]


class MemoryStore:
    """The `StateStore` port over the changelog that a MemorySink has written."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    def read(self, partition: Partition, committed: int | None, keep_alive: KeepAlive) -> Sequence[StateRecord]:
        return [
            read_saved(partition, key, value)
            for (source, key), value in self._log.changelog.items()
            if source == partition
        ]


class MemorySink:
    """The `Sink` port. `changelog` encodes snapshots and positions as for a topic; None: there is no changelog."""

    def __init__(self, log: MemoryLog, changelog: SnapshotWriter | None = None) -> None:
        self._log = log
        self._changelog = changelog
        self._open = False
        self._outputs: list[Outgoing] = []
        self._rejects: list[Reject] = []
        self._snapshots: list[Snapshot] = []

    def begin(self) -> None:
        assert not self._open, "begin() inside a transaction"
        self._open = True

    def send(self, outs: Sequence[Outgoing]) -> None:
        self._outputs += outs

    def reject(self, reject: Reject) -> None:
        self._rejects.append(reject)

    def save(self, snapshot: Snapshot) -> None:
        self._snapshots.append(snapshot)

    def commit(self, positions: Mapping[Partition, int]) -> None:
        assert self._open, "commit() without begin()"
        if self._log.faults:
            raise CommitAborted(f"as asked: {self._log.faults.pop(0).value}")
        if self._refused():
            raise Refused("as asked: something of this batch")
        self._log.outputs += self._outputs
        self._log.rejects += self._rejects
        self._log.state |= {(snapshot.partition, snapshot.key): snapshot for snapshot in self._snapshots}
        self._log.positions |= positions
        if self._changelog is not None:
            self._save(self._changelog, positions)
        self._clear()

    def abort(self) -> None:
        self._clear()

    def reopen(self) -> None:
        self._clear()

    def close(self) -> None:
        pass

    def _save(self, writer: SnapshotWriter, positions: Mapping[Partition, int]) -> None:
        changelog = self._log.changelog
        for snapshot in self._snapshots:
            place, value = (snapshot.partition, writer.key(snapshot)), writer.value(snapshot)
            if value is None:
                changelog.pop(place, None)
            else:
                changelog[place] = value
        for partition, offset in positions.items():
            changelog[partition, POSITION_KEY] = writer.position(partition, offset)

    def _refused(self) -> bool:
        log = self._log
        return any(out.source.place in log.refuses for out in self._outputs) or any(
            reject.refusals < log.refuses_rejects.get(reject.source.place, 0) for reject in self._rejects
        )

    def _clear(self) -> None:
        self._outputs, self._rejects, self._snapshots, self._open = [], [], [], False
