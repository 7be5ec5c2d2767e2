"""Batches on their way from readers to jets: in order of arrival, bounded, held while paused, with pigs as barriers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from stream_scorer.modelop.dataflow.lifecycle import FINISHING, PAUSED, Lifecycle
from stream_scorer.modelop.dataflow.starts import Starts
from stream_scorer.records import Batch

AHEAD_BATCHES, AHEAD_RECORDS = 2, 2000
"""A reader goes on while fewer batches, or fewer records in more of them, wait for the jets."""
LEAVE_CHECK_S = 1.0
"""How often who waits for a batch is asked whether it should leave, though nothing has changed."""
PORTION_S, MOST_RECORDS, FIRST_RECORDS = 0.05, 1000, 10
"""A slot that takes records one by one is fed in portions of about so long: batches that wait anyway are merged up to
it, and a longer one is divided, so that outputs are not held up; at the start, when a record's time is not known,
in portions of FIRST_RECORDS."""


class Rules(NamedTuple):
    """What the model makes of its input slots. `in_use`: input slots; `record_sets`: those that take sets."""

    in_use: frozenset[int]
    record_sets: frozenset[int]
    explicit: bool

    def sees_batches(self, slot: int) -> bool:
        """Whether it makes a difference to the model where a batch ends."""
        return self.explicit or slot in self.record_sets


class Flow:
    """Between readers (`ready`, `put`, `end`) and jets (`take`, `done`, `pig_written`). Safe from any thread."""

    def __init__(self, life: Lifecycle, rules: Rules) -> None:
        self._life = life
        self.changed = life.changed
        self.rules = rules
        self.starts = Starts(self.changed)
        self.closed = False
        self.alone = True
        """One jet takes all. Of several jets each gets batches whole, so that the outputs of one stay together."""
        self._portion = FIRST_RECORDS
        self._waiting: list[Batch] = []
        self._ahead = dict.fromkeys(rules.in_use, 0)
        """Records that wait, by slot; a batch without any counts as one."""
        self._ended: set[int] = set()
        self._numbers = dict.fromkeys(rules.in_use, 1)
        self._under_way = 0
        self._barrier = False
        self._shut: set[int] = set()
        self._reading: set[int] = set()
        if not rules.in_use and not rules.explicit:
            life.inputs_ended(True)

    def ready(self, slot: int, leave: Callable[[], bool]) -> bool:
        """Waits until the slot's reader should read on; False when it should leave."""
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
        """A batch as it came: a pig becomes a barrier behind its records, EOF is remembered."""
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
                self._ended.add(batch.slot)
                self._life.inputs_ended(self._all_ended())
            self.changed.notify_all()

    def reopen(self, slot: int) -> None:
        """Another stream is attached at the slot: it is not at EOF any more."""
        with self.changed:
            self._ended.discard(slot)
            self._reopen(slot)
            self._life.inputs_ended(self._all_ended())

    def take(self, leave: Callable[[], bool], slot: int | None = None) -> Batch | None:
        """The next batch, of one slot if given. Blocks until there is one and no jet is starting.

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
        """Something is under way that no `take` has given: the body of an explicit model."""
        with self.changed:
            self._under_way += 1

    def done(self, batch: Batch | None = None, rejected: int = 0, took_s: float = 0.0) -> None:
        """What was taken has been scored, in `took_s`, and written.

        Rejected records give their numbers back where none have been given since.
        """
        with self.changed:
            self._under_way -= 1
            if batch is not None and self._numbers[batch.slot] == batch.first + len(batch.records):
                self._numbers[batch.slot] -= rejected
            if batch is not None and took_s and batch.records:
                self._portion = max(1, min(MOST_RECORDS, int(PORTION_S * len(batch.records) / took_s)))
            self.changed.notify_all()

    def pig_written(self) -> None:
        with self.changed:
            self._barrier = False
            if not self.closed:  # else the state may be of another run already
                self._life.pig_left()
            self.changed.notify_all()

    def hold(self) -> None:
        """Waits while the engine is paused."""
        with self.changed:
            while not self.closed and self._life.state == PAUSED:
                self._under_way -= 1
                self.changed.notify_all()
                self.changed.wait()
                self._under_way += 1

    def still(self, timeout_s: float) -> bool:
        """Waits until nothing is under way; False after `timeout_s`."""
        with self.changed:
            return self.changed.wait_for(lambda: self.closed or not self._under_way, timeout_s)

    def through(self, slot: int, leave: Callable[[], bool]) -> None:
        """Blocks until all that was read from the slot is scored, or the caller should leave."""
        with self.changed:
            self._reading.discard(slot)
            while not (leave() or self._through(slot)):
                self.changed.wait(LEAVE_CHECK_S)

    def _through(self, slot: int) -> bool:
        busy = self._under_way or slot in self._reading or any(batch.slot == slot for batch in self._waiting)
        return self.closed or not busy

    def shut(self, slot: int, timeout_s: float) -> bool:
        """Nothing more is read from the slot, and what has been is scored; False after `timeout_s`: it is open again."""
        with self.changed:
            self._shut.add(slot)
            self.changed.notify_all()
            done = self.changed.wait_for(lambda: self._through(slot), timeout_s)
            if not done:
                self._reopen(slot)
            return done

    @property
    def empty(self) -> bool:
        """Nothing waits for the jets."""
        return not self._waiting

    def over(self) -> None:
        """An explicit model has ended by itself: what is left of its inputs stays unread."""
        with self.changed:
            for batch in self._waiting:
                if batch.closed_by == "pig":
                    self._life.pig_left()
            self._waiting.clear()
            self._ahead = dict.fromkeys(self._ahead, 0)
            self._ended |= self.rules.in_use
            self._life.inputs_ended(True)
            self.changed.notify_all()

    def renew(self, rules: Rules) -> None:
        """Another model takes over what waits."""
        with self.changed:
            self.rules = rules
            self._numbers = dict.fromkeys(rules.in_use, 1)
            self._ahead = dict.fromkeys(rules.in_use, 0) | self._ahead
            self._life.inputs_ended(self._all_ended())

    def wake(self) -> None:
        """Those who wait are asked again whether they should leave."""
        with self.changed:
            self.changed.notify_all()

    def close(self) -> None:
        """Everybody leaves."""
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

    def _all_ended(self) -> bool:
        return self._ended >= self.rules.in_use and not (self.rules.explicit and not self.rules.in_use)

    def _next(self, slot: int | None) -> int | None:
        """Position of the first batch that may go out now."""
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
            slot in self._ended and not any(batch.slot == slot for batch in self._waiting)
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
        records, end = list(batch.records), at
        while (
            end < len(self._waiting) and self._waiting[end].slot == batch.slot and self._waiting[end].closed_by != "pig"
        ):
            more = self._waiting[end].records
            if len(records) + len(more) > most:
                break
            records += more
            end += 1
        del self._waiting[at:end]
        return batch._replace(records=records)
