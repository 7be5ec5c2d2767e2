"""Runs models that were written for TensorFlow 1 and the libraries of its time, unchanged. See docs/legacy-models.md.

Only the imports of such a model see the names of that time. `sys.modules`, the real `tensorflow` and `numpy`, and eager
mode stay as they are for all other code. If a library is attached to the model, the model gets the attached one.
"""

from __future__ import annotations

import logging
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from stream_scorer.model.compat import numpy1, stdlib
from stream_scorer.model.compat.detect import KERAS, TF1, Reason, attached_libraries, find_reasons
from stream_scorer.model.compat.imports import Imports

log = logging.getLogger(__name__)


def execute(
    program: types.CodeType, module: dict[str, Any], source: str, wanted: str | None, entries: Iterable[str]
) -> None:
    """Execute a module's body, as a legacy model if it is one.

    Args:
        module: its namespace, with `__file__`.
        wanted: value of its `stream-scorer.compat` comment; None: the source decides.
        entries: names of the functions that will be called from outside.
    """
    file = Path(module["__file__"]).name
    uses = [] if wanted else find_reasons(source, file, Path.cwd())
    reasons = [reason for reason in uses if reason.era != KERAS]
    own = attached_libraries(Path.cwd(), file)
    if wanted == "none" or not (wanted or reasons):
        if own:
            module["__builtins__"] = Imports({}, Path.cwd(), own).builtins
        exec(program, module)
        return
    log.info("%s", _log_line(file, reasons))
    facades: dict[str, Callable[[], types.ModuleType]] = {"numpy": numpy1.facade, **stdlib.FACADES}
    tensorflow_1 = (bool(wanted) or any(reason.era == TF1 for reason in reasons)) and "tensorflow" not in own
    if tensorflow_1:
        _warn_of_keras(uses)
        # Imported here, because TensorFlow takes seconds to load, and most models do not need it.
        from stream_scorer.model.compat import tf1

        facades["tensorflow"] = tf1.facade
    module["__builtins__"] = Imports(facades, Path.cwd(), own).builtins
    if not tensorflow_1:
        exec(program, module)
        return
    from stream_scorer.model.compat.graph_mode import GraphMode

    mode = GraphMode()
    with mode:
        exec(program, module)
    for name in entries:
        if callable(module.get(name)):
            module[name] = mode.entering(module[name])


def _warn_of_keras(uses: list[Reason]) -> None:
    for reason in uses:
        if reason.era == KERAS:
            log.warning(
                "%s:%d: %s beside TensorFlow 1's names: Keras 3 computes in eager mode only, and this model runs in graph "
                "mode. Its predict() will fail. Leave out the graph and session calls, which Keras does not need.",
                *(reason.file, reason.line, reason.name),
            )
            return


def _log_line(file: str, reasons: list[Reason]) -> str:
    if not reasons:
        return f"{file} runs with the names of TensorFlow 1's time, as '# stream-scorer.compat: tf1' says"
    eras = []
    for era in dict.fromkeys(reason.era for reason in reasons):
        names: dict[str, str] = {}
        for reason in reasons:
            if reason.era == era:
                names.setdefault(reason.name, f"{reason.name} at {reason.file}:{reason.line}")
        more = f" and {len(names) - 2} more" if len(names) > 2 else ""
        eras.append(f"{era} ({', '.join(list(names.values())[:2])}{more})")
    return (
        f"{file} was written for {', '.join(eras)}: it gets the names of that time, and no other code does. "
        "'# stream-scorer.compat: none' in the file switches this off"
    )
