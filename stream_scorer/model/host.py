"""Calls one model in this process by the ModelOp contract.

Every program uses this host: the Kafka service, `score`, `verify` and `backtest` through `model.module`, the processes of
the ModelOp engine through `modelop.process.runner`. It handles values and slots. Bytes, counts and rejects are for its
caller.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from types import GeneratorType
from typing import Any, TypeVar

from stream_scorer.model import callbacks
from stream_scorer.model.annotations import Annotations
from stream_scorer.model.program import Program, reading
from stream_scorer.model.recordsets import make_set, plain
from stream_scorer.model.state_names import StateFinder

_T = TypeVar("_T")
Emit = Callable[[int, Any], None]
"""Takes the slot and the datum of one output. It must encode or copy the datum at once: the model may change it later.

The datum contains no pandas objects, except a record set at a slot with record sets.
"""


class Host:
    """A model in its namespace. Not safe for threads.

    Lifecycle: `execute` the module body, `find_callbacks`, `begin`, `give` values, `end`. An explicit model has only
    `execute`, which is its whole run. Every exception of the model or of an `emit` is raised unchanged.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.annotations = program.annotations
        self.namespace: dict[str, Any] = {}
        self.default_slot = default_slot(program.annotations)
        self.callback_names: dict[int, str] = {}
        """Name of the callback of each input slot."""
        self.sequence_names: dict[int, str] = {}
        """By slot whose callback takes the sequence number: the name in the namespace that holds the last number."""
        self._calls: dict[int, Callable[[Any], Any]] = {}

    def execute(self) -> None:
        """Run the module body."""
        entries = [
            *callbacks.begin_names(self.program),
            "end",
            *(self.annotations.batch or ()),
            *(name for slot in self.annotations.inputs for name in callbacks.action_names(self.program, slot)),
        ]
        self.namespace = self.program.execute(() if self.annotations.explicit else dict.fromkeys(entries))

    def find_callbacks(self) -> None:
        """Raises ModelError: a callback is missing, or takes a wrong number of arguments."""
        for slot in self.annotations.inputs:
            names = callbacks.action_names(self.program, slot)
            callback = callbacks.required(self.program, self.namespace, names, slot)
            name = next(name for name in names if self.namespace.get(name) is callback)
            self.callback_names[slot] = name
            arity = callbacks.arity(self.program, callback, name)
            if arity == 3:
                # No global can have such a name. It is in the namespace to be saved and restored with the state.
                self.sequence_names[slot] = f"sequence number of slot {slot}"
                self.begin_at(slot, 1)
            self._calls[slot] = self._call(callback, slot, arity)

    def hooks(self) -> list[Callable[..., Any]]:
        """The functions that `# stream-scorer.batch` names; [] without the comment. Raises ModelError: one is missing."""
        return [callbacks.required(self.program, self.namespace, [name]) for name in self.annotations.batch or ()]

    def state_names(self) -> tuple[str, ...]:
        """Names of the globals that are the model's state: those in its comment, else those that its code changes."""
        named = self.annotations.state
        if named is not None:
            return named
        return self._find(lambda finder: finder.names())

    def views(self) -> list[tuple[str, str]]:
        """Names of global arrays that change in place, each with the name of another that shares its memory."""
        return self._find(lambda finder: finder.views())

    def _find(self, read: Callable[[StateFinder], _T]) -> _T:
        """Raises ModelError: the code is nested too deep to be read."""
        with reading(self.program.path):
            return read(self._finder())

    def _finder(self) -> StateFinder:
        names = [*(self.annotations.batch or ()), *self.callback_names.values()]
        # A callback may be defined by another name: `action = partial(other)`.
        defined = [callbacks.defined_as(call) for name in names if callable(call := self.namespace.get(name))]
        return StateFinder(self.program.source, names + defined, self.namespace)

    def begin(self, definition: dict[str, Any]) -> None:
        """Call the model's `begin`, if it has one. definition: as `definition_of` makes it."""
        begin = callbacks.function(self.namespace, *callbacks.begin_names(self.program))
        if begin is not None:
            callbacks.call_begin(begin, definition)

    def begin_at(self, slot: int, number: int) -> None:
        """Set the sequence number of the next value of a slot. Without this call it is 1."""
        if slot in self.sequence_names:
            self.namespace[self.sequence_names[slot]] = number - 1

    def give(self, slot: int, value: Any, emit: Emit) -> None:
        """Call the callback of a slot with one value. Each output goes to `emit` before the next one is computed."""
        self._emit_all(self._calls[slot](value), emit)

    def give_set(self, slot: int, values: Sequence[Any], emit: Emit) -> None:
        """Call the callback of a slot with one record set. Its sequence number is that of the first record."""
        self.give(slot, make_set(values), emit)

    def ends_with_outputs(self) -> bool:
        """Whether the model's `end` is a generator function."""
        return inspect.isgeneratorfunction(callbacks.function(self.namespace, "end"))

    def end(self, emit: Emit) -> None:
        """Call the model's `end`, if it has one. What it yields are outputs; what it returns is not."""
        end = callbacks.function(self.namespace, "end")
        result = None if end is None else end()
        if isinstance(result, Iterator):
            self._emit_all(result, emit)

    def _call(self, callback: Callable[..., Any], slot: int, arity: int) -> Callable[[Any], Any]:
        if arity == 1:
            return callback
        if arity == 2:
            return lambda value: callback(value, slot)
        namespace, name = self.namespace, self.sequence_names[slot]

        def call(value: Any) -> Any:
            number = namespace[name] = namespace[name] + 1
            return callback(value, slot, number)

        return call

    def _emit_all(self, result: Any, emit: Emit) -> None:
        """Each item of a generator or iterator is an output. None is no output. Anything else is one output."""
        if type(result) is GeneratorType or isinstance(result, Iterator):
            default = self.default_slot
            for output in result:
                if type(output) is float:
                    emit(default, output)
                else:
                    self._output(output, emit)
        elif result is not None:
            self._output(result, emit)

    def _output(self, output: Any, emit: Emit) -> None:
        slot, datum = callbacks.slotted(output, self.default_slot)
        if "pandas" in sys.modules and slot not in self.annotations.recordsets:
            datum = plain(datum)
        emit(slot, datum)


def default_slot(annotations: Annotations) -> int:
    """The slot of an output without one: the only output slot in use, else 1."""
    in_use = annotations.outputs
    return in_use[0] if len(in_use) == 1 else 1


def definition_of(name: str, mtype: str, attachments: Sequence[str]) -> dict[str, Any]:
    """The argument for a `begin` that takes one. attachments: names of files."""
    return {"name": name, "type": mtype, "attachments": list(attachments)}
