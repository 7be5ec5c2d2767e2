"""The callbacks of a model: their names, their arguments, and the slot of what they return."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from stream_scorer.errors import ModelError
from stream_scorer.model.program import Program

ACTION = "action"
BEGIN = "begin"


def action_names(program: Program, slot: int) -> list[str]:
    """Names that the callback of an input slot may have. The first one that the module defines is used."""
    named = program.annotations.actions.get(slot)
    if named:
        return [named]
    role = program.annotations.roles.get("score")
    return [ACTION, role] if role else [ACTION]


def begin_names(program: Program) -> list[str]:
    """Names that the function called before all records may have. The first one that the module defines is used."""
    role = program.annotations.roles.get("init")
    return [BEGIN, role] if role else [BEGIN]


def function(namespace: Mapping[str, Any], *names: str) -> Callable[..., Any] | None:
    """The first of the names that has a function in the namespace; None if none has."""
    return next((namespace[name] for name in names if callable(namespace.get(name))), None)


def required(program: Program, namespace: Mapping[str, Any], names: list[str], slot: int = 0) -> Callable[..., Any]:
    """The first of the names that has a function. Raises ModelError with the functions that the module has instead."""
    callback = function(namespace, *names)
    if callback is not None:
        return callback
    functions = sorted(
        key for key, value in namespace.items() if inspect.isfunction(value) and value.__module__ == program.name
    )
    raise ModelError(no_function(program, names[0], functions, slot))


def no_function(program: Program, name: str, functions: list[str], slot: int) -> str:
    """The text of the error. `functions`: names of those that the module defines."""
    return (
        f"{program.path}: no function {name}(). It defines {', '.join(functions) or 'no function'}. A ModelOp module "
        f"defines action(x); another name is given by the comment '# fastscore.action.{slot}: NAME'."
    )


def arity(program: Program, callback: Callable[..., Any], name: str) -> int:
    """How many of (x, slot, seqno) a callback takes: 1, 2 or 3. Raises ModelError."""
    try:
        count = len(positional(callback))
    except ValueError as error:
        raise ModelError(
            f"{program.path}: the arguments of {name} are not known ({error}). Make it a function: def {name}(x)."
        ) from error
    if count not in (1, 2, 3):
        raise ModelError(wrong_arity(program, name, count))
    return count


def wrong_arity(program: Program, name: str, count: int) -> str:
    return f"{program.path}: {name}() takes {count} arguments. It must take 1 to 3: (x), (x, slot) or (x, slot, seqno)."


def positional(call: Callable[..., Any]) -> list[inspect.Parameter]:
    """Parameters without a default that can be passed by position."""
    return [
        parameter
        for parameter in inspect.signature(call).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is parameter.empty
    ]


def call_begin(begin: Callable[..., Any], definition: dict[str, Any]) -> None:
    """Models of version 2.x take a dict with the model's definition; others take nothing."""
    if len(positional(begin)) == 1:
        begin(definition)
    else:
        begin()


def defined_as(call: Callable[..., Any]) -> str:
    """The name of the function behind `functools.partial`: "other" for `action = partial(other)`."""
    while isinstance(call, functools.partial):
        call = call.func
    return getattr(call, "__name__", "")


def slotted(output: Any, default: int) -> tuple[int, Any]:
    """Slot and datum of an output: a tuple of two that begins with an integer is both, anything else has the default slot."""
    if type(output) is tuple and len(output) == 2:
        slot, datum = output
        if isinstance(slot, int | np.integer) and not isinstance(slot, bool):
            return int(slot), datum
    return default, output
