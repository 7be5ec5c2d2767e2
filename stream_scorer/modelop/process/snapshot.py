"""Snapshots: the state of a model, with cells and pools, as ASCII text (rules `k.snapshots`, `k.restore`).

stream-scorer-snapshot 1 {"model": NAME, "sha256": OF THE SOURCE, "check": SHA256 OF THE CONTENT}
the content, as `state.values` writes it, in base64
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, NamedTuple

from stream_scorer.errors import ModelError
from stream_scorer.modelop.process.frames import Frame
from stream_scorer.state import values

_HEAD = "stream-scorer-snapshot 1 "


class ModelSnapshot(NamedTuple):
    """model: its name. sha256: of its source, in hex. shared: cells and pools. names: of the saved globals.

    state: the values of those globals, as `state.values` writes them.
    """

    model: str
    sha256: str
    shared: bytes
    names: tuple[str, ...]
    state: bytes


def write(snapshot: ModelSnapshot) -> bytes:
    """Return the text of a snapshot."""
    content = values.dump([snapshot.shared, snapshot.names, snapshot.state])
    head = {"model": snapshot.model, "sha256": snapshot.sha256, "check": hashlib.sha256(content).hexdigest()}
    return f"{_HEAD}{json.dumps(head)}\n".encode() + base64.encodebytes(content)


def read(blob: bytes) -> ModelSnapshot:
    """The inverse of `write`. Raises ModelError: it is not a snapshot, or it is not complete."""
    try:
        first, _, rest = blob.decode("ascii").partition("\n")
        if not first.startswith(_HEAD):
            raise ValueError(f"it does not begin with {_HEAD!r}")  # noqa: TRY301 - one text for all of these
        head = json.loads(first[len(_HEAD) :])
        content = base64.b64decode("".join(rest.split()), validate=True)
        if hashlib.sha256(content).hexdigest() != head["check"]:
            raise ValueError("its content is not what was written")  # noqa: TRY301
        shared, names, state = values.load(content)
        if not (isinstance(shared, bytes) and isinstance(names, tuple) and isinstance(state, bytes)):
            raise ValueError("its content is not a state")  # noqa: TRY301
        if not all(isinstance(name, str) for name in (head["model"], head["sha256"], *names)):
            raise ValueError("a name in it is not a text")  # noqa: TRY301
        return ModelSnapshot(head["model"], head["sha256"], shared, names, state)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(
            f"snapshot: {len(blob)} bytes cannot be read ({error}). Give the contents of a snapshot as it was saved."
        ) from error


def check_model(blob: bytes, name: str) -> None:
    """Raises ModelError: the snapshot is of a model with another name."""
    if (saved := read(blob).model) != name:
        raise ModelError(f"snapshot: it is of model {saved[:100]!r}, and {name!r} is loaded. Restore another one.")


def with_last_shared(blobs: list[bytes]) -> list[bytes]:
    """Return snapshots of jets that ended one after the other, each with the cells and pools of the last one.

    Only those of the last jet contain all changes.
    """
    snapshots = [read(blob) for blob in blobs]
    return [write(snapshot._replace(shared=snapshots[-1].shared)) for snapshot in snapshots]


def put_back(namespace: dict[str, Any], state_names: tuple[str, ...], request: Frame) -> list[str]:
    """Set the globals of a model to those of a snapshot. Return the names that are left out.

    Those would replace a function of the model, or what Python itself needs, and cannot be of a snapshot of this model.

    Raises ModelError: the bytes are not a state.
    """
    names = request.head["names"]
    try:
        state = dict(zip(names, values.load(request.body), strict=True))
    except ValueError as error:
        raise ModelError(f"snapshot: its state cannot be read ({error}). Restore another one.") from error
    left_out = [
        name for name in names if name not in state_names and (name.startswith("__") or callable(namespace.get(name)))
    ]
    namespace.update({name: value for name, value in state.items() if name not in left_out})
    return left_out


def savable(namespace: dict[str, Any], names: tuple[str, ...]) -> tuple[tuple[str, ...], bytes, list[str]]:
    """Return names and values of the globals that can be saved, and the names of those that cannot."""
    saved, left_out = [], []
    for name in names:
        if name not in namespace:
            continue
        try:
            values.dump([namespace[name]])
            saved.append(name)
        except (values.Unsupported, RecursionError):
            left_out.append(name)
    # All values together, so that two names of one list stay two names of one list.
    return tuple(saved), values.dump([namespace[name] for name in saved]), left_out
