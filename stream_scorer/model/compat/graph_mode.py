"""The graph mode of TensorFlow 1, while the code of one model runs.

TensorFlow 1 had one default graph and one default session per process, and rules of its own for building graphs. At every
call a model finds its own graph and session again, and what it has left open (`InteractiveSession`). Between the calls the
process is in eager mode, and other models are not affected.

TensorFlow has no public function to exchange its stacks, so their attributes are used; its version is pinned.
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

# (object, attribute, value in TensorFlow 1): what `disable_v2_behavior` switches permanently for the whole process.
_SETTINGS_OF_1: tuple[tuple[Any, str, Any], ...] = (
    (tensor_shape, "_TENSORSHAPE_V2_OVERRIDE", False),  # x.shape[1] is a Dimension and has a .value
    (resource_variables_toggle, "_DEFAULT_USE_RESOURCE", False),  # the tensor "w:0" is the variable's value
    (control_flow_util, "ENABLE_CONTROL_FLOW_V2", False),  # loops are part of the graph, with their tensors' names
    (tensor.Tensor, "_USE_EQUALITY", False),  # == compares identity, tensors are keys
    (deprecation, "_PRINT_DEPRECATION_WARNINGS", False),  # the operator cannot act on them
)


class GraphMode:
    """A context manager. Blocks may be within each other; only the outermost one switches."""

    def __init__(self) -> None:
        self._graphs: list[Any] = []
        self._default_graph: Any = None
        self._sessions: list[Any] = []
        self._switches: list[Any] = []
        self._eager = False
        self._depth = 0
        self._settings = [value for _, _, value in _SETTINGS_OF_1]

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
        """Exchange what is kept here with what TensorFlow has. Stacks belong to the thread, settings to the process."""
        graphs, sessions = ops._default_graph_stack, stack._default_session_stack
        eager = context.context()
        data, switches = eager._thread_local_data, eager.context_switches
        self._graphs, graphs.stack = graphs.stack, self._graphs
        self._default_graph, graphs._global_default_graph = graphs._global_default_graph, self._default_graph
        self._sessions, sessions.stack = sessions.stack, self._sessions
        self._switches, switches.stack = switches.stack, self._switches
        self._eager, data.is_eager = data.is_eager, self._eager
        for at, (owner, name, _) in enumerate(_SETTINGS_OF_1):
            current = getattr(owner, name)
            setattr(owner, name, self._settings[at])
            self._settings[at] = current

    def close(self) -> None:
        """Close the sessions that the model's code has entered and not left."""
        with self, contextlib.suppress(Exception):
            for session in reversed(list(stack._default_session_stack.stack)):
                if hasattr(session, "__exit__"):
                    session.__exit__(None, None, None)
                else:
                    session.close()  # an InteractiveSession, which leaves by closing

    def entering(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a function that calls `function` within the block, and reads a generator to its end there."""

        def call(*args: Any, **kwargs: Any) -> Any:
            if self._depth:
                return function(*args, **kwargs)
            with self:
                result = function(*args, **kwargs)
                return iter(list(result)) if isinstance(result, Iterator) else result

        functools.update_wrapper(call, function)
        innermost = function
        while isinstance(innermost, functools.partial):
            innermost = innermost.func
        call.__name__ = getattr(
            innermost, "__name__", type(innermost).__name__
        )  # the model's state is found by this name
        return call


# When a session that is still entered is garbage-collected, it pops the stacks of that moment, which would be the process's
# own. So a GraphMode with open sessions is kept, and closed at the end of the process.
_left_open: set[GraphMode] = set()


@atexit.register
def _close_all() -> None:
    for mode in list(_left_open):
        mode.close()
