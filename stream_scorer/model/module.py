"""A module file, loaded and begun: one copy of code and weights, whose state can be taken out and put in."""

from __future__ import annotations

import ast
import logging
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from stream_scorer.errors import ActionError, ModelError, is_for_the_host, text_of
from stream_scorer.model.host import Emit, Host, definition_of
from stream_scorer.model.imports import find_imports
from stream_scorer.model.program import Program, read_program
from stream_scorer.records import State
from stream_scorer.system.extras import install_hint
from stream_scorer.system.stderr import without_banners

_T = TypeVar("_T")
log = logging.getLogger(__name__)


class Module:
    """The `Model` port over a ModelOp module file that takes the records of one input, one at a time.

    Lifecycle: construct (reads, hashes and executes the file), `begin`, score, `end`. To be used inside its `sandbox`:
    the body and `begin` open files there.

    Args:
        attachments: names of its files, for `begin`.
        endless: the input never ends, as a topic; refuse a model that needs an end.
    Raises:
        ModelError: the file cannot be read, compiled or executed, breaks the contract, or needs an engine.
    """

    def __init__(self, path: Path, attachments: Sequence[str] = (), *, endless: bool = True) -> None:
        self._program = program = read_program(path)
        self.path, self.name, self.sha256 = path, program.name, program.sha256
        self.annotations = program.annotations
        self._definition = definition_of(program.name, "python3", attachments)
        self._host = host = Host(program)
        _refuse(program, needs_an_engine(program))
        with without_banners():
            self._guard("the module body", host.execute)
        host.find()
        if endless:
            _refuse(program, _needs_an_end(host))
        self.namespace, self.default = host.namespace, host.default
        self._give = host.give
        self._ended = False
        self._push: Callable[..., Any] | None
        self._predict: Callable[..., Any] | None
        self._push, self._predict = host.hooks() or (None, None)
        self.state_names = self._state_names()

    @property
    def batched(self) -> bool:
        return self._predict is not None

    def begin(self) -> None:
        """Run the module's `begin`; its state afterwards is where every session starts."""
        with without_banners():
            self._guard("begin()", lambda: self._host.begin(self._definition))
        self.state_names = self._state_names()  # again: now with the objects that begin has made
        missing = [name for name in self.state_names if name not in self.namespace]
        if missing and self.annotations.state:
            raise ModelError(
                f"{self.path}: '# stream-scorer.state:' names {', '.join(missing)}, which the module does not set. "
                "Set it in begin() or correct the comment."
            )
        self.state_names = tuple(name for name in self.state_names if name not in missing)

    def check_views(self) -> None:
        """Raises ModelError: the state is an array, and another global looks into the same memory."""
        for name, other in self._host.views():
            if name in self.state_names:
                raise ModelError(
                    f"{self.path}: global {name!r} is part of the model's state, and {other!r} looks into the same "
                    "array, which cannot be saved and restored so. Make one of them a copy, or the view in action()."
                )

    def _state_names(self) -> tuple[str, ...]:
        return (*self._host.state_names(), *self._host.numbered.values())

    def end(self, emit: Emit | None = None) -> None:
        """Run the module's `end`, if it has one; a second call does nothing. Without `emit` its outputs are dropped."""
        if self._ended:
            return
        self._ended = True
        dropped: list[int] = []
        self._guard("end()", lambda: self._host.end(emit or (lambda slot, _: dropped.append(slot))))
        if dropped:
            log.warning(
                "%s: end() gave %d outputs, which nobody takes: only `stream-scorer score` and an engine write them",
                self.path.name,
                len(dropped),
            )

    def state(self) -> State:
        namespace, names = self.namespace, self.state_names
        if len(names) == 1:  # the most common, and asked for twice a record
            return (namespace[names[0]],)
        return tuple([namespace[name] for name in names])

    def set_state(self, state: State) -> None:
        namespace, names = self.namespace, self.state_names
        if len(state) != len(names):
            raise ValueError(f"{len(state)} values for {len(names)} names")
        if len(names) == 1:
            namespace[names[0]] = state[0]
        else:
            namespace.update(zip(names, state, strict=True))

    def score(self, value: Any, emit: Emit) -> None:
        try:
            self._give(0, value, emit)
        except BaseException as error:
            raise self._failed("action", error) from error

    def push(self, value: Any) -> bytes | None:
        assert self._push is not None
        try:
            window = self._push(value)
            # Taken at once, as bytes: the module may go on changing the window it gave, and bytes of many
            # windows become one array at the price of a copy.
            return None if window is None else _pack(window)
        except BaseException as error:
            raise self._failed("push", error) from error

    def predict(self, windows: Sequence[bytes]) -> list[float]:
        assert self._predict is not None
        if len(set(map(len, windows))) != 1:
            raise ActionError(
                f"{self.path.name}: push() gave windows of different lengths. It must give as many values every time."
            )
        inputs = np.frombuffer(bytearray().join(windows)).reshape(len(windows), -1, 1)
        try:
            found: list[float] = np.asarray(self._predict(inputs), dtype=np.float64)[:, 0, 0].tolist()
        except BaseException as error:
            raise self._failed("predict", error) from error
        if len(found) != len(windows):
            raise ActionError(
                f"{self.path.name}: predict() gave {len(found)} scores for {len(windows)} windows. "
                "It must give one for each, as an array of shape (windows, 1, 1)."
            )
        return found

    def _guard(self, what: str, call: Callable[[], _T]) -> _T:
        try:
            return call()
        except BaseException as error:
            if is_for_the_host(error):
                raise
            line = self._program.line_of(error)
            if hint := install_hint(error):
                raise ModelError(f"{self.path}{f':{line}' if line else ''}: {what}: {error}. {hint}") from error
            files = sorted(path.name for path in Path.cwd().iterdir())
            raise ModelError(
                f"{self.path}{f':{line}' if line else ''}: {what} raised {type(error).__name__}: {_first_line(error)} "
                + (
                    f"Its directory holds {', '.join(files)}."
                    if files
                    else "Its directory is empty: no attachment was given. If the model reads files, "
                    "give their archive by --attachment FILE.tar.gz."
                )
            ) from error

    def _failed(self, what: str, error: BaseException) -> ActionError:
        """Whatever a model raises costs one record, an end of the interpreter or a cancelled task too."""
        if is_for_the_host(error):
            raise error
        line = self._program.line_of(error)
        return ActionError(
            f"{self.path.name}{f':{line}' if line else ''}: {what}() raised {type(error).__name__}: {text_of(error)}"
        )


_PACKERS: dict[int, struct.Struct] = {}


def _pack(window: Any) -> bytes:
    if type(window) is list:
        packer = _PACKERS.get(len(window)) or _PACKERS.setdefault(len(window), struct.Struct(f"{len(window)}d"))
        return packer.pack(*window)
    array = np.asarray(window, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"push() gave a window of shape {array.shape}: it must be one row of numbers")
    return array.tobytes()


def needs_an_engine(program: Program) -> str | None:
    """What a model asks for beyond the records of slot 0, one at a time; None if nothing. None of its code runs."""
    found = program.annotations
    if found.recordsets:
        slots = ", ".join(map(str, sorted(found.recordsets)))
        return f"'# fastscore.recordsets' asks for record sets on slot {slots}"
    if found.explicit:
        return "'# fastscore.action: unused' makes it a model that reads its slots itself"
    if found.inputs != [0]:
        return f"its inputs are the slots {', '.join(map(str, found.inputs)) or '(none)'}"
    if any(one.top == "fastscore" for one in find_imports(ast.parse(program.source))):
        return "it imports fastscore, whose cells, pools and slots are an engine's"
    return None


def _needs_an_end(host: Host) -> str | None:
    """Why a model cannot run on an input that never ends; None if it can."""
    if host.ends_with_outputs():
        return "its end() yields outputs: a topic has no end, and each restart would publish them again"
    if host.numbered and host.annotations.window:
        return (
            "its action takes the sequence number, which is no function of the last "
            f"{host.annotations.window} inputs that '# stream-scorer.window' promises"
        )
    return None


def _refuse(program: Program, what: str | None) -> None:
    if what is not None:
        raise ModelError(
            f"{program.path}: {what}; here a model is given the records of slot 0, one at a time. "
            "Run it by `stream-scorer engine` or `stream-scorer score`, or change the model."
        )


def _first_line(error: BaseException) -> str:
    text = text_of(error).strip().splitlines()
    line = text[0] if text else "(no text)"
    return line if line.endswith(".") else line + "."
