"""A module file loaded and begun: one copy of code and weights, its state to be put in and taken out."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import inspect
import logging
import os
import struct
import sys
import traceback
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stream_scorer.errors import ActionError, ModelError
from stream_scorer.model import compat
from stream_scorer.model.annotations import parse
from stream_scorer.model.compat import python2
from stream_scorer.model.state_names import find_state
from stream_scorer.records import State
from stream_scorer.stderr import without_banners

log = logging.getLogger(__name__)


class Module:
    """The `Model` port over a ModelOp module file.

    Lifecycle: construct (reads, hashes, executes the body), `begin`, then score, then `end`. To be
    used inside its `sandbox`, whose files the body and `begin` open.

    Raises:
        ModelError: the file cannot be read, compiled or executed, or breaks the contract.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.stem
        code = _read(path)
        self.sha256 = hashlib.sha256(code).hexdigest()
        try:
            source = importlib.util.decode_source(code)  # as its first lines declare it
            program = compile(code, str(path), "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None) or 1
            raise ModelError(
                f"{path}:{line}: not Python {sys.version_info.major}.{sys.version_info.minor}: {error}."
                + python2.advice(code.decode(errors="replace"), error)
            ) from error
        self.annotations = parse(source, str(path))
        self._refuse_record_sets()
        self.namespace = self._execute(program, source)
        self._action = self._required(self.annotations.actions.get(0, "action"))
        self._arity = self._check_arity()
        batch = [self._required(name) for name in self.annotations.batch or ()]
        self._push: Callable[..., Any] | None
        self._predict: Callable[..., Any] | None
        self._push, self._predict = batch or (None, None)
        self._seqno = 0
        named = self.annotations.state
        self.state_names = find_state(source, self._entries()) if named is None else named

    @property
    def batched(self) -> bool:
        return self._predict is not None

    def begin(self) -> None:
        """Run the module's `begin`; its state afterwards is where every session starts."""
        begin = self._function("begin")
        if begin is not None:
            with without_banners():
                self._guard("begin()", lambda: begin({}) if len(_positional(begin)) == 1 else begin())
        missing = [name for name in self.state_names if name not in self.namespace]
        if missing and self.annotations.state:
            raise ModelError(
                f"{self.path}: '# stream-scorer.state:' names {', '.join(missing)}, which the module does not set. "
                "Set it in begin() or correct the comment."
            )
        self.state_names = tuple(name for name in self.state_names if name not in missing)

    def end(self) -> None:
        """Run the module's `end`, if it has one."""
        end = self._function("end")
        if end is not None:
            self._guard("end()", end)

    def state(self) -> State:
        namespace, names = self.namespace, self.state_names
        if len(names) == 1:  # the most common, and asked for twice a record
            return (namespace[names[0]],)
        return tuple([namespace[name] for name in names])

    def set_state(self, state: State) -> None:
        if len(state) != len(self.state_names):
            raise ValueError(f"{len(state)} values for {len(self.state_names)} names")
        namespace = self.namespace
        for name, value in zip(self.state_names, state):  # noqa: B905 - checked above, twice as fast without
            namespace[name] = value

    def score(self, value: Any) -> list[tuple[int, Any]]:
        self._seqno += 1
        arguments = (value, 0, self._seqno)[: self._arity]
        try:
            return [_slotted(output) for output in _outputs(self._action(*arguments))]
        except (Exception, SystemExit) as error:
            raise self._failed("action", error) from error

    def push(self, value: Any) -> bytes | None:
        assert self._push is not None
        try:
            window = self._push(value)
            # Taken at once, as bytes: the module may go on changing the window it gave, and bytes of many
            # windows become one array at the price of a copy.
            return None if window is None else _pack(window)
        except (Exception, SystemExit) as error:
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
        except (Exception, SystemExit) as error:
            raise self._failed("predict", error) from error
        if len(found) != len(windows):
            raise ActionError(
                f"{self.path.name}: predict() gave {len(found)} scores for {len(windows)} windows. "
                "It must give one for each, as an array of shape (windows, 1, 1)."
            )
        return found

    def _refuse_record_sets(self) -> None:
        if self.annotations.recordsets:
            slots = ", ".join(map(str, sorted(self.annotations.recordsets)))
            raise ModelError(
                f"{self.path}: '# fastscore.recordsets' asks for record sets on slot {slots}, which are not supported "
                "yet. Remove the comment and let action() take and give one record at a time."
            )

    def _entries(self) -> list[str]:
        """Functions called per record, also by the names they were defined by: `action = partial(other)`."""
        names = self._called()
        return names + [_defined_as(self.namespace[name]) for name in names]

    def _called(self) -> list[str]:
        return [*(self.annotations.batch or ()), self.annotations.actions.get(0, "action")]

    def _execute(self, program: types.CodeType, source: str) -> dict[str, Any]:
        module = types.ModuleType(self.name)
        module.__file__ = str(self.path)
        sys.modules.setdefault(self.name, module)  # dataclasses and pickles look their module up by name
        _quiet_tensorflow()
        namespace, called = module.__dict__, ["begin", "end", *self._called()]
        with without_banners():
            self._guard(
                "the module body",
                lambda: compat.execute(program, namespace, source, self.annotations.compat, called),
            )
        return namespace

    def _function(self, name: str) -> Callable[..., Any] | None:
        found = self.namespace.get(name)
        return found if callable(found) else None

    def _required(self, name: str) -> Callable[..., Any]:
        found = self._function(name)
        if found is not None:
            return found
        functions = sorted(
            key for key, value in self.namespace.items() if inspect.isfunction(value) and value.__module__ == self.name
        )
        raise ModelError(
            f"{self.path}: no function {name}(). It defines {', '.join(functions) or 'no function'}. A ModelOp module "
            f"defines action(x); another name is given by the comment '# fastscore.action.0: NAME'."
        )

    def _check_arity(self) -> int:
        name = self.annotations.actions.get(0, "action")
        try:
            count = len(_positional(self._action))
        except ValueError as error:
            raise ModelError(
                f"{self.path}: {name} does not tell its arguments ({error}). Make it a function: def {name}(x)."
            ) from error
        if count not in (1, 2, 3):
            raise ModelError(
                f"{self.path}: {name}() takes {count} arguments. "
                "It must take 1 to 3: (x), (x, slot) or (x, slot, seqno)."
            )
        return count

    def _guard(self, what: str, call: Callable[[], object]) -> None:
        try:
            call()
        except (Exception, SystemExit) as error:
            line = _line_in(error, self.path)
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
        line = _line_in(error, self.path)
        return ActionError(
            f"{self.path.name}{f':{line}' if line else ''}: {what}() raised {type(error).__name__}: {error}"
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


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}). Give the path of a Python module.") from error


def _quiet_tensorflow() -> None:
    """One thread per op and no banner, unless the operator said otherwise.

    More threads inside one op waste CPU at these sizes: workers are the way to use cores.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _positional(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is parameter.empty
    ]


def _defined_as(function: Callable[..., Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", "")


def _outputs(result: Any) -> Iterator[Any]:
    """A generator gives its items; None nothing; any other value is one output."""
    if result is None:
        return iter(())
    if isinstance(result, Iterator):
        return result
    return iter((result,))


def _slotted(output: Any) -> tuple[int, Any]:
    """A tuple of two is (slot, datum); anything else goes to slot 1."""
    if type(output) is tuple and len(output) == 2 and isinstance(output[0], int):
        return output
    return 1, output


def _line_in(error: BaseException, path: Path) -> int | None:
    """Line of the module where the error passed last."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else None


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    line = text[0] if text else "(no text)"
    return line if line.endswith(".") else line + "."
