"""One model in this process, called by the ModelOp contract. Sections [b] and [c].

The same host wherever a model runs: in the Kafka service, `score`, `verify` and `backtest` (through `model.module`), and
in the processes of an engine (through `modelop.process.runner`). It knows values and slots, and no bytes: codecs, counts and
rejects are the caller's.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from types import GeneratorType
from typing import Any

from stream_scorer.model import callbacks
from stream_scorer.model.annotations import Annotations
from stream_scorer.model.program import Program
from stream_scorer.model.recordsets import make_set, plain
from stream_scorer.model.state_names import Found

Emit = Callable[[int, Any], None]
"""Takes slot and datum of one output. It must encode or copy the datum at once: the model may change it afterwards.

The datum has no pandas objects in it, except a record set at a slot with record sets.
"""


class Host:
    """Lifecycle: `execute` the body, `find` the callbacks, `begin`, `give` values, `end`; of an explicit model `execute` only.

    What the model or an `emit` raises is raised unchanged.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.annotations = program.annotations
        self.namespace: dict[str, Any] = {}
        self.default = default_slot(program.annotations)
        self.names: dict[int, str] = {}
        """Name of the callback, by input slot."""
        self.numbered: dict[int, str] = {}
        """Of slots whose callback takes the sequence number: the name in the namespace that holds the last number."""
        self._calls: dict[int, Callable[[Any], Any]] = {}

    def execute(self) -> None:
        """Run the module body; an explicit model has nothing else to run."""
        entries = [
            *callbacks.begin_names(self.program),
            "end",
            *(self.annotations.batch or ()),
            *(name for slot in self.annotations.inputs for name in callbacks.action_names(self.program, slot)),
        ]
        self.namespace = self.program.execute(() if self.annotations.explicit else dict.fromkeys(entries))

    def find(self) -> None:
        """Look up the callbacks. Raises ModelError: one is missing, or takes a wrong number of arguments."""
        for slot in self.annotations.inputs:
            some = callbacks.action_names(self.program, slot)
            callback = callbacks.required(self.program, self.namespace, some, slot)
            name = self.names[slot] = next(name for name in some if self.namespace.get(name) is callback)
            arity = callbacks.arity(self.program, callback, name)
            if arity == 3:
                # No global can have such a name. Kept like a global, so it is saved and restored with the state.
                self.numbered[slot] = f"sequence number of slot {slot}"
                self.begin_at(slot, 1)
            self._calls[slot] = self._call(callback, slot, arity)

    def hooks(self) -> list[Callable[..., Any]]:
        """The functions that `# stream-scorer.batch` names; none without it. Raises ModelError: one is missing."""
        return [callbacks.required(self.program, self.namespace, [name]) for name in self.annotations.batch or ()]

    def state_names(self) -> tuple[str, ...]:
        """Globals that are the model's state: those that its comment names, else those that its code changes."""
        named = self.annotations.state
        if named is not None:
            return named
        return self._found().names()

    def views(self) -> list[tuple[str, str]]:
        """Global arrays that change in place, each with another that looks into the same memory."""
        return self._found().views()

    def _found(self) -> Found:
        names = [*(self.annotations.batch or ()), *self.names.values()]
        # Also the names by which they were defined: `action = partial(other)`.
        behind = [callbacks.defined_as(call) for name in names if callable(call := self.namespace.get(name))]
        return Found(self.program.source, names + behind, self.namespace)

    def begin(self, definition: dict[str, Any]) -> None:
        """Call the model's `begin`, if it has one. `definition`: as `definition_of` makes it."""
        begin = callbacks.function(self.namespace, *callbacks.begin_names(self.program))
        if begin is not None:
            callbacks.call_begin(begin, definition)

    def begin_at(self, slot: int, number: int) -> None:
        """Set the sequence number of the slot's next value. Without a call the numbers begin at 1."""
        if slot in self.numbered:
            self.namespace[self.numbered[slot]] = number - 1

    def give(self, slot: int, value: Any, emit: Emit) -> None:
        """Call the callback of a slot with one value."""
        self._hand_on(self._calls[slot](value), emit)

    def give_set(self, slot: int, values: Sequence[Any], emit: Emit) -> None:
        """Call the callback of a slot with a record set, under the sequence number of its first record."""
        self.give(slot, make_set(values), emit)

    def ends_with_outputs(self) -> bool:
        """Whether the model's `end` is a generator function."""
        return inspect.isgeneratorfunction(callbacks.function(self.namespace, "end"))

    def end(self, emit: Emit) -> None:
        """Call the model's `end`, if it has one. What it yields are outputs; what a plain function returns is not."""
        end = callbacks.function(self.namespace, "end")
        result = None if end is None else end()
        if isinstance(result, Iterator):
            self._hand_on(result, emit)

    def _call(self, callback: Callable[..., Any], slot: int, arity: int) -> Callable[[Any], Any]:
        if arity == 1:
            return callback
        if arity == 2:
            return lambda value: callback(value, slot)
        namespace, name = self.namespace, self.numbered[slot]

        def call(value: Any) -> Any:
            number = namespace[name] = namespace[name] + 1
            return callback(value, slot, number)

        return call

    def _hand_on(self, result: Any, emit: Emit) -> None:
        """A generator or iterator: each item is an output. None: no output. Anything else is one output."""
        if type(result) is GeneratorType or isinstance(result, Iterator):
            default = self.default
            for output in result:
                if type(output) is float:
                    emit(default, output)
                else:
                    self._output(output, emit)
        elif result is not None:
            self._output(result, emit)

    def _output(self, output: Any, emit: Emit) -> None:
        slot, datum = callbacks.slotted(output, self.default)
        if "pandas" in sys.modules and slot not in self.annotations.recordsets:
            datum = plain(datum)
        emit(slot, datum)


def default_slot(annotations: Annotations) -> int:
    """The slot of an output that names none: the only output slot in use, else 1."""
    in_use = annotations.outputs
    return in_use[0] if len(in_use) == 1 else 1


def definition_of(name: str, mtype: str, attachments: Sequence[str]) -> dict[str, Any]:
    """The argument of `begin`, for a `begin` that takes one. `attachments`: names of files."""
    return {"name": name, "type": mtype, "attachments": list(attachments)}
