"""TensorFlow as it was in 1.x, for as long as a model's code runs, and for that model alone.

TensorFlow 1 kept one default graph and one default session per process, and built graphs in its own
ways. A model finds its own again at every call, whatever it left open (`InteractiveSession`); in
between, the process is in eager mode as ever, and other models know nothing of it.

TensorFlow has no public way to set its stacks aside, so their attributes are used; the version is pinned.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from tensorflow.python.eager import context
from tensorflow.python.framework import ops, stack, tensor, tensor_shape
from tensorflow.python.ops import control_flow_util, resource_variables_toggle
from tensorflow.python.util import deprecation

# (where, name, as TensorFlow 1 had it): what `disable_v2_behavior` switches for the whole process and for good.
_WAYS_OF_1: tuple[tuple[Any, str, Any], ...] = (
    (tensor_shape, "_TENSORSHAPE_V2_OVERRIDE", False),  # x.shape[1] is a Dimension and has a .value
    (resource_variables_toggle, "_DEFAULT_USE_RESOURCE", False),  # the tensor "w:0" is the variable's value
    (control_flow_util, "ENABLE_CONTROL_FLOW_V2", False),  # loops are part of the graph, with their tensors' names
    (tensor.Tensor, "_USE_EQUALITY", False),  # == compares identity, tensors are keys
    (deprecation, "_PRINT_DEPRECATION_WARNINGS", False),  # the operator cannot act on them
)


class GraphMode:
    """A context manager, for any thread and as deep as you like; only the outermost block switches."""

    def __init__(self) -> None:
        self._graphs: list[Any] = []
        self._default_graph: Any = None
        self._sessions: list[Any] = []
        self._switches: list[Any] = []
        self._eager = False
        self._depth = 0
        self._ways = [value for _, _, value in _WAYS_OF_1]

    def __enter__(self) -> Self:
        self._depth += 1
        if self._depth == 1:
            self._swap()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._swap()
            (_left_open.add if self._sessions else _left_open.discard)(self)

    def _swap(self) -> None:
        """Exchange what is kept here with what TensorFlow has. The stacks are this thread's, the ways the process's."""
        graphs, sessions = ops._default_graph_stack, stack._default_session_stack
        eager = context.context()
        data, switches = eager._thread_local_data, eager.context_switches
        self._graphs, graphs.stack = graphs.stack, self._graphs
        self._default_graph, graphs._global_default_graph = graphs._global_default_graph, self._default_graph
        self._sessions, sessions.stack = sessions.stack, self._sessions
        self._switches, switches.stack = switches.stack, self._switches
        self._eager, data.is_eager = data.is_eager, self._eager
        for at, (where, name, _) in enumerate(_WAYS_OF_1):
            was = getattr(where, name)
            setattr(where, name, self._ways[at])
            self._ways[at] = was

    def close(self) -> None:
        """Leave what the model's code has entered and not left."""
        with self, contextlib.suppress(Exception):
            for session in reversed(list(stack._default_session_stack.stack)):
                if hasattr(session, "__exit__"):
                    session.__exit__(None, None, None)
                else:
                    session.close()  # an InteractiveSession, which leaves by closing

    def entering(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, called within the block. What it yields is collected there: it, too, is the model's code."""

        def call(*args: Any, **kwargs: Any) -> Any:
            if self._depth:
                return function(*args, **kwargs)
            with self:
                found = function(*args, **kwargs)
                return iter(list(found)) if isinstance(found, Iterator) else found

        functools.update_wrapper(call, function)
        innermost = function
        while isinstance(innermost, functools.partial):
            innermost = innermost.func
        call.__name__ = getattr(innermost, "__name__", type(innermost).__name__)  # by which its state is found
        return call


# A session that was entered and is then collected takes its entries off the stacks of that moment, which would be
# the process's own. So whoever left one open is kept to the end, and closed then.
_left_open: set[GraphMode] = set()


@atexit.register
def _close_all() -> None:
    for mode in list(_left_open):
        mode.close()
