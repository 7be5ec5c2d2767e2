"""The module `fastscore` that models import: cells, pools and slots (rules `b.fastscore`, `k.cells`, `k.pools`).

If the vendor's SDK of the same name is installed, the module has the names of that, too.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from stream_scorer.errors import ActionError
from stream_scorer.modelop.process.shared import Place, Store
from stream_scorer.state import values

NAME = "fastscore"


class Cell:
    """One value that all jets share."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name, self._place = store, name, ("cell", str(name))

    @property
    def value(self) -> Any:
        """The value; None if it is not set."""
        return _load(self._store.get(self._place))

    def set(self, value: Any) -> None:
        self._store.set(self._place, self._dump(value))

    def update(self, change: Callable[[Any], Any]) -> None:
        """Set the value to `change(value)`, `change(None)` if it is not set. No other jet changes it meanwhile."""
        self._store.update(self._place, lambda now: self._dump(change(_load(now))))

    def _dump(self, value: Any) -> bytes:
        return _dump(f"cell {self._name!r}", value)


class Pool:
    """Values by key that all jets share. A key is anything that a cell can hold; keys of different types are different."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name

    def get(self, key: Any) -> Any:
        """Return the value of a key; None if it is not set."""
        return _load(self._store.get(self._place(key)))

    def set(self, key: Any, value: Any) -> None:
        self._store.set(self._place(key), self._dump(key, value))

    def update(self, key: Any, change: Callable[[Any], Any]) -> None:
        """Set the value to `change(value)`, `change(None)` if it is not set. No other jet changes it meanwhile."""
        self._store.update(self._place(key), lambda now: self._dump(key, change(_load(now))))

    def _place(self, key: Any) -> Place:
        key = key.item() if isinstance(key, np.generic) else key
        return "pool", str(self._name), _dump(f"the key of pool {self._name!r}", key).hex()

    def _dump(self, key: Any, value: Any) -> bytes:
        return _dump(f"pool {self._name!r}, key {key!r}", value)


@contextlib.contextmanager
def importable(store: Store, slot: type | None = None) -> Iterator[None]:
    """Within the block, `import fastscore` gives the cells and pools of `store`, and `fastscore.io` the class Slot."""
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == NAME}
    for name in before:
        del sys.modules[name]
    sdk = importlib.util.find_spec(NAME)
    module = _Fastscore(NAME, sdk)
    io = types.ModuleType(f"{NAME}.io", "Slots of an explicit model.")
    io.Slot = slot or _no_slots  # type: ignore[attr-defined]
    module.keep(io=io, cells=lambda name: Cell(store, name), pools=lambda name: Pool(store, name))
    sys.modules[NAME], sys.modules[io.__name__] = module, io
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
            del sys.modules[name]
        sys.modules.update(before)


class _Fastscore(types.ModuleType):
    """Our names, and those of the installed SDK, which is executed when one of its names is first used."""

    def __init__(self, name: str, sdk: importlib.machinery.ModuleSpec | None) -> None:
        super().__init__(name, "Cells, pools and slots of the engine.")
        self._sdk = sdk
        self.__path__ = list(sdk.submodule_search_locations or ()) if sdk else []
        self._own: dict[str, Any] = {}

    def keep(self, **own: Any) -> None:
        self._own = own
        vars(self).update(own)

    def __getattr__(self, name: str) -> Any:
        if self._sdk is not None and self._sdk.loader is not None and not name.startswith("__"):
            sdk, self._sdk = self._sdk, None
            sdk.loader.exec_module(self)  # type: ignore[union-attr]
            vars(self).update(self._own)
            if name in vars(self):
                return vars(self)[name]
        raise AttributeError(f"module {NAME!r} has no {name!r}: models get cells, pools and io.Slot")


def _no_slots(n: int) -> Any:
    raise ActionError(
        f"Slot({n}): this model has callbacks, which are given its records. To read slots itself it says "
        "'# fastscore.action: unused'."
    )


def _load(data: bytes | None) -> Any:
    return None if data is None else values.load(data)[0]


def _dump(name: str, value: Any) -> bytes:
    try:
        return values.dump([value])
    except values.Unsupported as error:
        raise TypeError(
            f"{name}: {error} cannot be shared between jets. Cells and pools take None, booleans, numbers, strings, "
            "bytes, lists, tuples, sets, dicts, deques and NumPy arrays of such."
        ) from error
