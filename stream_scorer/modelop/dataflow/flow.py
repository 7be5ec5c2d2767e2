"""The queue of batches between readers and jets: ordered, bounded, held while paused, with pigs as barriers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from stream_scorer.modelop.dataflow.lifecycle import FINISHING, PAUSED, Lifecycle
from stream_scorer.modelop.dataflow.starts import Starts
from stream_scorer.records import Batch

AHEAD_BATCHES, AHEAD_RECORDS = 2, 2000
"""A reader goes on while fewer batches of its slot wait; or, if the slot takes no record sets, fewer records."""
LEAVE_CHECK_S = 1.0
"""How often a thread that waits for a batch is asked whether it should leave, though nothing has changed."""
PORTION_S, MAX_RECORDS, FIRST_RECORDS = 0.05, 1000, 10
"""A slot without record sets is fed in portions that take about PORTION_S: batches that wait are merged, and a longer one
is divided, so that outputs are not held up. The first portions, before the time of a record is known, have
FIRST_RECORDS."""


class Rules(NamedTuple):
    """How the model uses its input slots. `in_use`: input slots; `record_sets`: those that take record sets."""

    in_use: frozenset[int]
    record_sets: frozenset[int]
    explicit: bool

    def sees_batches(self, slot: int) -> bool:
        """Whether the model can see the limits of batches."""
        return self.explicit or slot in self.record_sets


class Flow:
    """Between readers (`wait_for_room`, `put`) and jets (`take`, `done`, `pig_written`). Safe from any thread.

    Its lock is the one lock of the dataflow, that of `Lifecycle.changed`; a method that blocks releases it meanwhile.
    """

    def __init__(self, life: Lifecycle, rules: Rules) -> None:
        self._life = life
        self.changed = life.changed
        self.rules = rules
        self.starts = Starts(self.changed)
        self.closed = False
        self.alone = True
        """There is one jet. With several jets a batch is not divided, so that its outputs stay together."""
        self._portion = FIRST_RECORDS
        self._waiting: list[Batch] = []
        self._ahead = dict.fromkeys(rules.in_use, 0)
        """Number of waiting records by slot; a batch without records counts as one."""
        self._at_eof: set[int] = set()  # slots
        self._numbers = dict.fromkeys(rules.in_use, 1)  # sequence number of the next record, by slot
        self._under_way = 0  # calls of jets
        self._barrier = False  # a pig is being written
        self._shut: set[int] = set()  # slots that are not read
        self._reading: set[int] = set()  # slots whose reader is in its inlet
        if not rules.in_use and not rules.explicit:
            life.inputs_at_eof(True)

    def wait_for_room(self, slot: int, leave: Callable[[], bool]) -> bool:
        """Block until the slot's reader should read on. Return False when it should leave."""
        with self.changed:
            self._reading.discard(slot)
            while not (self.closed or leave()):
                if self._life.flowing and slot not in self._shut and self._room(slot):
                    self._reading.add(slot)
                    return True
                self.changed.notify_all()
                self.changed.wait()
            return False

    def put(self, batch: Batch) -> None:
        """Queue a batch. A pig becomes a barrier behind its records, and the end of the stream is noted. Does not block."""
        with self.changed:
            if self.closed:
                return
            whole = batch.closed_by == "set" and self.rules.sees_batches(batch.slot)
            if batch.records or whole:
                self._waiting.append(batch if whole else batch._replace(control=None))
                self._ahead[batch.slot] += len(batch.records) or 1
            if batch.closed_by == "pig":
                self._waiting.append(Batch(batch.slot, 0, [], batch.control))
                self._life.pig_entered()
            elif batch.closed_by == "end":
                self._at_eof.add(batch.slot)
                self._life.inputs_at_eof(self._all_at_eof())
            self.changed.notify_all()

    def reopen(self, slot: int) -> None:
        """Another stream is attached at the slot, which is not at its end any more."""
        with self.changed:
            self._at_eof.discard(slot)
            self._reopen(slot)
            self._life.inputs_at_eof(self._all_at_eof())

    def take(self, leave: Callable[[], bool], slot: int | None = None) -> Batch | None:
        """Return the next batch, of one slot if given. Blocks until there is one and no jet is starting.

        A pig comes as a batch without records. None: the caller should leave, or nothing more will come.
        """
        with self.changed:
            while not (self.closed or leave()):
                if self._life.flowing and not self.starts:
                    at = self._next(slot)
                    if at is not None:
                        return self._hand_out(at)
                    if self._drained(slot):
                        return None
                self.changed.wait(LEAVE_CHECK_S)
            return None

    def enter(self) -> None:
        """Count a call as under way that no `take` has begun: the body of an explicit model."""
        with self.changed:
            self._under_way += 1

    def done(self, batch: Batch | None = None, rejected: int = 0, took_s: float = 0.0) -> None:
        """What was taken is scored, which took `took_s`, and its outputs are written.

        Rejected records give their sequence numbers back, if no later records have got theirs.
        """
        with self.changed:
            self._under_way -= 1
            if batch is not None and self._numbers[batch.slot] == batch.first + len(batch.records):
                self._numbers[batch.slot] -= rejected
            if batch is not None and took_s and batch.records:
                self._portion = max(1, min(MAX_RECORDS, int(PORTION_S * len(batch.records) / took_s)))
            self.changed.notify_all()

    def pig_written(self) -> None:
        """The pig that was taken is at all outputs: batches behind it may go on."""
        with self.changed:
            self._barrier = False
            if not self.closed:  # otherwise the state is that of another run
                self._life.pig_left()
            self.changed.notify_all()

    def wait_while_paused(self) -> None:
        """Block while the engine is paused."""
        with self.changed:
            while not self.closed and self._life.state == PAUSED:
                self._under_way -= 1
                self.changed.notify_all()
                self.changed.wait()
                self._under_way += 1

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Block until no call is under way. Return False after `timeout_s`."""
        with self.changed:
            return self.changed.wait_for(lambda: self.closed or not self._under_way, timeout_s)

    def wait_until_scored(self, slot: int, leave: Callable[[], bool]) -> None:
        """Block until all that was read from the slot is scored, or the caller should leave."""
        with self.changed:
            self._reading.discard(slot)
            while not (leave() or self._is_scored(slot)):
                self.changed.wait(LEAVE_CHECK_S)

    def _is_scored(self, slot: int) -> bool:
        busy = self._under_way or slot in self._reading or any(batch.slot == slot for batch in self._waiting)
        return self.closed or not busy

    def shut(self, slot: int, timeout_s: float) -> bool:
        """Stop reading the slot, and block until what was read is scored. After `timeout_s` read on, and return False."""
        with self.changed:
            self._shut.add(slot)
            self.changed.notify_all()
            done = self.changed.wait_for(lambda: self._is_scored(slot), timeout_s)
            if not done:
                self._reopen(slot)
            return done

    @property
    def empty(self) -> bool:
        """Whether no batch waits for the jets."""
        return not self._waiting

    @property
    def scored(self) -> bool:
        """Whether all inputs are at their end, and nothing waits for the jets."""
        with self.changed:
            return self._life.state == FINISHING and self.empty

    def abandon_inputs(self) -> None:
        """An explicit model has returned: drop what waits, and take all inputs for read."""
        with self.changed:
            for batch in self._waiting:
                if batch.closed_by == "pig":
                    self._life.pig_left()
            self._waiting.clear()
            self._ahead = dict.fromkeys(self._ahead, 0)
            self._at_eof |= self.rules.in_use
            self._life.inputs_at_eof(True)
            self.changed.notify_all()

    def change_model(self, rules: Rules) -> None:
        """Give what waits to another model."""
        with self.changed:
            self.rules = rules
            self._numbers = dict.fromkeys(rules.in_use, 1)
            self._ahead = dict.fromkeys(rules.in_use, 0) | self._ahead
            self._life.inputs_at_eof(self._all_at_eof())

    def wake(self) -> None:
        """Ask all waiting threads again whether they should leave."""
        with self.changed:
            self.changed.notify_all()

    def close(self) -> None:
        """Make all threads leave."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _reopen(self, slot: int) -> None:
        self._shut.discard(slot)
        self.changed.notify_all()

    def _room(self, slot: int) -> bool:
        if self._ahead[slot] < AHEAD_RECORDS and slot not in self.rules.record_sets:
            return True
        return sum(batch.slot == slot for batch in self._waiting) < AHEAD_BATCHES

    def _all_at_eof(self) -> bool:
        return self._at_eof >= self.rules.in_use and not (self.rules.explicit and not self.rules.in_use)

    def _next(self, slot: int | None) -> int | None:
        """Return the index of the first batch that may go to a jet now."""
        if self._barrier:
            return None
        for at, batch in enumerate(self._waiting):
            if slot is None or batch.slot == slot:
                return None if batch.closed_by == "pig" and self._under_way else at
        return None

    def _drained(self, slot: int | None) -> bool:
        if slot is None:
            return self._life.state == FINISHING and not self._waiting and not self._barrier
        return slot not in self.rules.in_use or (
            slot in self._at_eof and not any(batch.slot == slot for batch in self._waiting)
        )

    def _hand_out(self, at: int) -> Batch:
        batch = self._waiting.pop(at)
        if batch.closed_by == "pig":
            self._barrier = True
            return batch
        if not self.rules.sees_batches(batch.slot):
            batch = self._portioned(batch, at)
        self._ahead[batch.slot] -= len(batch.records) or 1
        number = self._numbers[batch.slot]
        self._numbers[batch.slot] = number + len(batch.records)
        self._under_way += 1
        self.changed.notify_all()
        return batch._replace(first=number)

    def _portioned(self, batch: Batch, at: int) -> Batch:
        most = self._portion
        if len(batch.records) > most:
            if self.alone:
                self._waiting.insert(at, batch._replace(records=batch.records[most:]))
                return batch._replace(records=batch.records[:most])
            return batch
        records, stop = list(batch.records), at
        while stop < len(self._waiting):
            following = self._waiting[stop]
            if following.slot != batch.slot or following.closed_by == "pig":
                break
            if len(records) + len(following.records) > most:
                break
            records += following.records
            stop += 1
        del self._waiting[at:stop]
        return batch._replace(records=records)
