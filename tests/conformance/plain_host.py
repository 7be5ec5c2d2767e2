"""A small host of ModelOp modules: begin, action and end by the rules `b.*` of docs/conformance.md. It uses no code of ours.

As a program it reads names of folders from standard input, a line each, and runs the job in each in a forked process.
"""

import copy
import inspect
import numbers
import os
import pickle
import signal
import sys
import types
from collections.abc import Iterator
from pathlib import Path

LONGEST_S = 120


def arity(function):
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return sum(one.kind in kinds and one.default is one.empty for one in parameters)


def run(source, values, slot=0, default=1, action="action", begin="begin", definition=None):
    """[outputs, error] of each value and of `end`; an output is (slot, datum). An error, as text, is the last."""
    module = sys.modules["model"] = types.ModuleType("model")
    module.__file__ = "model.py"
    names = vars(module)
    exec(compile(source, "model.py", "exec"), names)
    if callable(names.get(begin)):
        names[begin](*[definition or {}][: arity(names[begin])])
    found = []
    for seqno, value in enumerate(values, 1):
        call, arguments = names[action], (value, slot, seqno)[: arity(names[action])]
        found.append(outputs(lambda call=call, arguments=arguments: call(*arguments), default))
        if found[-1][1] is not None:
            return found
    result = []
    if callable(names.get("end")):
        result = outputs(lambda: only_items(names["end"]()), default)
    return [*found, result or [[], None]]


def outputs(call, default):
    """What a callback gave, each item as it was at that moment."""
    found = []
    try:
        result = call()
        for item in () if result is None else result if isinstance(result, Iterator) else (result,):
            pair = type(item) is tuple and len(item) == 2 and isinstance(item[0], numbers.Integral)
            pair = pair and not isinstance(item[0], bool)
            found.append(portable((int(item[0]), item[1]) if pair else (default, item)))
    except BaseException as error:  # noqa: BLE001 - any exit is an error of the model
        return [found, f"{type(error).__name__}: {error}"]
    return [found, None]


def portable(value):
    """A copy that another process can read; `...` in the place of an object of the model's own class."""
    if isinstance(value, dict):
        return {portable(key): portable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return (list if isinstance(value, list) else tuple)(map(portable, value))
    if type(value).__module__ != "model":
        return copy.deepcopy(value)
    plain = [kind.__new__(kind, value) for kind in (int, float, str, bytes) if isinstance(value, kind)]
    return plain[0] if plain else ...


def only_items(result):
    """Of `end`: what a plain function returns is no output."""
    return result if isinstance(result, Iterator) else None


def serve():
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            in_folder(line.strip())
            os._exit(0)
        print(os.waitpid(child, 0)[1], flush=True)


def in_folder(folder):
    """job.pickle, arguments of `run`, to found.pickle; what the model prints to console.txt."""
    signal.alarm(LONGEST_S)
    os.chdir(folder)
    sys.path.insert(0, folder)
    console = os.open("console.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(console, 1)
    os.dup2(console, 2)
    job = pickle.loads(Path("job.pickle").read_bytes())
    try:
        found = run(**job)
    except BaseException as error:  # noqa: BLE001 - in the body or in begin
        found = f"{type(error).__name__}: {error}"
    sys.stdout.flush()
    sys.stderr.flush()
    Path("found.pickle").write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    serve()
