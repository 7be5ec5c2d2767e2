"""A loaded model: one copy of code and weights, whose state can be taken out and put in."""

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
from stream_scorer.model.program import Program, read_program, reading
from stream_scorer.records import State
from stream_scorer.system.extras import install_hint
from stream_scorer.system.stderr import without_banners

_T = TypeVar("_T")
log = logging.getLogger(__name__)


class Module:
    """The `Model` port for a ModelOp module file that takes the records of one input, one at a time.

    Lifecycle: construct (reads, hashes and executes the file), `begin`, `score` or `push` and `predict`, `end`. Use it
    inside its `sandbox`, where the module body and `begin` find their files.

    Args:
        file: the module's file, or what was read of it before.
        attachments: names of the model's files, for `begin`.
        endless: the input never ends, such as a topic: refuse a model that needs an end.
    Raises:
        ModelError: the file cannot be read, compiled or executed, breaks the contract, or needs the ModelOp engine.
    """

    def __init__(self, file: Path | Program, attachments: Sequence[str] = (), *, endless: bool = True) -> None:
        self._program = program = file if isinstance(file, Program) else read_program(file)
        self.path, self.name, self.sha256 = program.path, program.name, program.sha256
        self.annotations = program.annotations
        self._definition = definition_of(program.name, "python3", attachments)
        self._host = host = Host(program)
        _refuse(program, needs_an_engine(program))
        with without_banners():
            self._guard("the module body", host.execute)
        host.find_callbacks()
        if endless:
            _refuse(program, _needs_an_end(host))
        self.namespace, self.default = host.namespace, host.default_slot
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
        """Run the module's `begin`. The state after it is the state of every new session. Raises ModelError."""
        with without_banners():
            self._guard("begin()", lambda: self._host.begin(self._definition))
        self.state_names = self._state_names()  # again, because `begin` has made objects
        missing = [name for name in self.state_names if name not in self.namespace]
        if missing and self.annotations.state:
            raise ModelError(
                f"{self.path}: '# stream-scorer.state:' names {', '.join(missing)}, which the module does not set. "
                "Set it in begin() or correct the comment."
            )
        self.state_names = tuple(name for name in self.state_names if name not in missing)

    def check_views(self) -> None:
        """Raises ModelError: the state is an array, and another global shares its memory."""
        for name, other in self._host.views():
            if name in self.state_names:
                raise ModelError(
                    f"{self.path}: global {name!r} is part of the model's state, and {other!r} looks into the same "
                    "array. That cannot be saved and restored. Make one of them a copy, or make the view in action()."
                )

    def _state_names(self) -> tuple[str, ...]:
        return (*self._host.state_names(), *self._host.sequence_names.values())

    def end(self, emit: Emit | None = None) -> None:
        """Run the module's `end`, if it has one. A second call does nothing. Without `emit` its outputs are dropped."""
        if self._ended:
            return
        self._ended = True
        dropped: list[int] = []
        self._guard("end()", lambda: self._host.end(emit or (lambda slot, _: dropped.append(slot))))
        if dropped:
            log.warning(
                "%s: end() yielded %d outputs, which were dropped: only `stream-scorer score` and the ModelOp engine write them",
                self.path.name,
                len(dropped),
            )

    def state(self) -> State:
        """The values of the state globals, not copies. Raises ModelError: the model has deleted one."""
        namespace, names = self.namespace, self.state_names
        try:
            if len(names) == 1:  # the most common case, and called twice per record
                return (namespace[names[0]],)
            return tuple([namespace[name] for name in names])
        except KeyError as error:
            raise ModelError(
                f"{self.path}: global {error} is part of the model's state, and the model has deleted it. Set it to None instead."
            ) from None

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
            # As bytes at once: the module may change the window later, and the bytes of many windows become one array by
            # one copy.
            return None if window is None else _pack(window)
        except BaseException as error:
            raise self._failed("push", error) from error

    def predict(self, windows: Sequence[bytes]) -> list[float]:
        assert self._predict is not None
        if len(set(map(len, windows))) != 1:
            raise ActionError(
                f"{self.path.name}: push() returned windows of different lengths. All must have the same length."
            )
        inputs = np.frombuffer(bytearray().join(windows)).reshape(len(windows), -1, 1)
        try:
            scores: list[float] = np.asarray(self._predict(inputs), dtype=np.float64)[:, 0, 0].tolist()
        except BaseException as error:
            raise self._failed("predict", error) from error
        if len(scores) != len(windows):
            raise ActionError(
                f"{self.path.name}: predict() returned {len(scores)} scores for {len(windows)} windows. "
                "It must return one for each, as an array of shape (windows, 1, 1)."
            )
        return scores

    def _guard(self, step: str, call: Callable[[], _T]) -> _T:
        try:
            return call()
        except BaseException as error:
            if is_for_the_host(error):
                raise
            line = self._program.line_of(error)
            if hint := install_hint(error):
                raise ModelError(f"{self.path}{f':{line}' if line else ''}: {step}: {error}. {hint}") from error
            files = sorted(path.name for path in Path.cwd().iterdir())
            raise ModelError(
                f"{self.path}{f':{line}' if line else ''}: {step} raised {type(error).__name__}: {_first_line(error)} "
                + (
                    f"Its directory holds {', '.join(files)}."
                    if files
                    else "Its directory is empty: no attachment was given. If the model reads files, "
                    "give their archive by --attachment FILE.tar.gz."
                )
            ) from error

    def _failed(self, function: str, error: BaseException) -> ActionError:
        """Whatever a model raises costs one record only, SystemExit and CancelledError included."""
        if is_for_the_host(error):
            raise error
        line = self._program.line_of(error)
        return ActionError(
            f"{self.path.name}{f':{line}' if line else ''}: {function}() raised {type(error).__name__}: {text_of(error)}"
        )


_PACKERS: dict[int, struct.Struct] = {}


def _pack(window: Any) -> bytes:
    if type(window) is list:
        packer = _PACKERS.get(len(window)) or _PACKERS.setdefault(len(window), struct.Struct(f"{len(window)}d"))
        return packer.pack(*window)
    array = np.asarray(window, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"push() returned a window of shape {array.shape}: it must be one row of numbers")
    return array.tobytes()


def needs_an_engine(program: Program) -> str | None:
    """Why a model cannot run on the records of slot 0, one at a time; None if it can. Runs none of its code."""
    annotations = program.annotations
    if annotations.recordsets:
        slots = ", ".join(map(str, sorted(annotations.recordsets)))
        return f"'# fastscore.recordsets' asks for record sets on slot {slots}"
    if annotations.explicit:
        return "'# fastscore.action: unused' makes it a model that reads its slots itself"
    if annotations.inputs != [0]:
        return f"its inputs are the slots {', '.join(map(str, annotations.inputs)) or '(none)'}"
    with reading(program.path):
        imports = list(find_imports(ast.parse(program.source)))
    if any(imported.top == "fastscore" for imported in imports):
        return "it imports fastscore, whose cells, pools and slots only the ModelOp engine has"
    return None


def _needs_an_end(host: Host) -> str | None:
    """Why a model cannot run on an input that never ends; None if it can."""
    if host.ends_with_outputs():
        return "its end() yields outputs: a topic has no end, and each restart would publish them again"
    if host.sequence_names and host.annotations.window:
        return (
            "its action takes the sequence number, which does not depend on the last "
            f"{host.annotations.window} inputs alone, as '# stream-scorer.window' promises"
        )
    return None


def _refuse(program: Program, problem: str | None) -> None:
    if problem is not None:
        raise ModelError(
            f"{program.path}: {problem}; here a model is given the records of slot 0, one at a time. "
            "Run it by `stream-scorer engine` or `stream-scorer score`, or change the model."
        )


def _first_line(error: BaseException) -> str:
    text = text_of(error).strip().splitlines()
    line = text[0] if text else "(no text)"
    return line if line.endswith(".") else line + "."
