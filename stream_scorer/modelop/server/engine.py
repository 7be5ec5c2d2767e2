"""An engine of the fleet: a manifold, and what else the API of an engine needs."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

from stream_scorer.codec.schema import Schema
from stream_scorer.modelop.dataflow.manifold import Manifold
from stream_scorer.modelop.server.answers import HttpError
from stream_scorer.modelop.server.instance import Instance
from stream_scorer.modelop.server.library import Library
from stream_scorer.modelop.server.pneumo_hub import PneumoHub
from stream_scorer.modelop.server.policy_store import PolicyStore
from stream_scorer.modelop.server.store import Store
from stream_scorer.modelop.streams.schemas import data_problem, verified

log = logging.getLogger(__name__)
_CONSOLE_TEXTS, _CONSOLE_CHARACTERS = 1000, 4 << 20
_MAX_SCHEMAS = 1000
_LEVELS = {128: logging.DEBUG, 64: logging.INFO, 32: logging.INFO, 16: logging.WARNING}


class Engine(Instance):
    """Its manifold, console, import policies and prepared schemas. Safe from any thread."""

    def __init__(self, name: str, store: Store, library: Library, pneumo: PneumoHub, policies: PolicyStore) -> None:
        self.library = library
        self.policies = policies
        self._pneumo = pneumo
        self._console = _Console()
        self.name = name
        self.manifold = Manifold(
            find_schema=library.schema,
            on_event=self._on_event,
            on_snapshot=library.save_snapshot,
            policy=policies.current(),
        )
        super().__init__(name, "engine", store, self.manifold.sensors)
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._schemas: dict[int, Schema] = {}

    def _on_event(self, event: Mapping[str, Any]) -> None:
        if event.get("type") == "model-console":
            self._console.append(str(event.get("text", "")))
        elif event.get("type") == "engine-state":
            log.info("%s: %s", self.name, event.get("state"))
        elif event.get("type") == "model-error":
            log.error("%s: the model failed: %s", self.name, str(event.get("console", "")).strip())
        elif event.get("type") == "log":
            log.log(_LEVELS.get(event.get("level", 64), logging.ERROR), "%s: %s", self.name, event.get("text"))
        self._pneumo.publish(self.name, event)

    def console(self) -> list[str]:
        """Return what models have printed since the last call."""
        return self._console.take()

    def prepare_schema(self, definition: Any) -> int:
        """Keep a schema, and return the id to check data by. Raises DescriptorError."""
        schema = verified(definition)
        with self._lock:
            id_ = next(self._ids)
            self._schemas[id_] = schema
            if len(self._schemas) > _MAX_SCHEMAS:  # clients may leave without dropping theirs
                del self._schemas[next(iter(self._schemas))]
        return id_

    def check_data(self, id_: int | None, value: Any) -> None:
        """Raises HttpError: 404 if no schema has the id, 400 if the value does not fit."""
        schema = self._schemas.get(id_ or 0)
        if schema is None:
            raise HttpError(404, "no schema with this id: post it to /2/active/schema/verify")
        problem = data_problem(schema, value)
        if problem:
            raise HttpError(400, problem)

    def drop_schema(self, id_: int | None) -> bool:
        """Return whether there was one."""
        with self._lock:
            return self._schemas.pop(id_ or 0, None) is not None

    def close(self) -> None:
        self.manifold.close()


class _Console:
    """The last texts that models have printed, limited in number and length. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: deque[str] = deque()
        self._characters = 0

    def append(self, text: str) -> None:
        with self._lock:
            self._texts.append(text)
            self._characters += len(text)
            while len(self._texts) > _CONSOLE_TEXTS or self._characters > _CONSOLE_CHARACTERS:
                self._characters -= len(self._texts.popleft())

    def take(self) -> list[str]:
        with self._lock:
            texts = [*self._texts]
            self._texts.clear()
            self._characters = 0
            return texts
