"""The fleet that this process serves: Connect, Model Manage and engines, wired to each other."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from stream_scorer.errors import SettingsError
from stream_scorer.model.trust import Trust, read_part
from stream_scorer.modelop.process import jet_folder
from stream_scorer.modelop.process.package import ModelPackage
from stream_scorer.modelop.server.connect import Connect
from stream_scorer.modelop.server.engine import Engine
from stream_scorer.modelop.server.library import Library, RemoteModelManage
from stream_scorer.modelop.server.model_manage import ModelManage
from stream_scorer.modelop.server.pneumo_hub import PneumoHub
from stream_scorer.modelop.server.policy_store import PolicyStore
from stream_scorer.modelop.server.process_sensors import ProcessSensors
from stream_scorer.modelop.server.settings import Baked, EngineSettings, read_token
from stream_scorer.modelop.server.store import Store
from stream_scorer.parsing import strict_json

log = logging.getLogger(__name__)
MODEL_MANAGE = "model-manage-1"


class HostedFleet:
    """Connect, Model Manage (unless it is turned off) and engines. The caller closes `store`, later."""

    def __init__(self, settings: EngineSettings, baked: Baked, store: Store, address: tuple[str, int]) -> None:
        """Raises SettingsError and ModelError: what is baked in cannot be used. Blocks while a baked model is loaded."""
        jet_folder.remove_left()
        self.pneumo = PneumoHub()
        self._closing = contextlib.ExitStack()
        schemas = {name: _json(path, f"SCHEMAS: {name}", settings.trust()) for name, path in baked.schemas.items()}
        library = Library(store if settings.model_manage else None, remote(settings, os.environ), schemas)
        self.engines = [
            Engine(name, store, library, self.pneumo, PolicyStore(store, name, settings.policy))
            for name in (f"engine-{number}" for number in range(1, settings.engines + 1))
        ]
        self.model_manage = (
            ModelManage(MODEL_MANAGE, store, self._sensors(MODEL_MANAGE)) if settings.model_manage else None
        )
        others = [self.model_manage] if self.model_manage else []
        self.connect = Connect(
            store,
            self._sensors("connect"),
            self.pneumo,
            [*others, *self.engines],
            address,
            settings.tls_cert is not None,
        )
        try:
            self._bake(baked, settings.trust())
        except BaseException:
            self.close()
            raise
        for instance in (*others, *self.engines):
            self.pneumo.publish("connect", {"type": "health", "instance": instance.name, "health": "ok"})

    def _sensors(self, name: str) -> ProcessSensors:
        def report(event: Mapping[str, Any]) -> None:
            self.pneumo.publish(name, event)

        sensors = ProcessSensors(report)
        self._closing.callback(sensors.close)
        return sensors

    def _bake(self, baked: Baked, trust: Trust) -> None:
        if baked.configuration is not None:
            self.connect.configure(_read(baked.configuration, "FASTSCORE_CONFIG"))
        manifold = self.engines[0].manifold
        if baked.model is not None:
            kind = "python3" if baked.model.suffix in (".py", ".py3") else baked.model.suffix
            if kind != "python3":
                raise SettingsError(f"MODEL {baked.model}: this engine runs Python models, .py or .py3.")
            attachments = tuple((path.name, _read(path, "ATTACHMENTS", trust)) for path in baked.attachments)
            source = _read(baked.model, "MODEL", trust)
            manifold.load(ModelPackage(baked.model.stem, kind, source, attachments, {}))
            log.info("engine-1: model %s is loaded, as MODEL says", baked.model)
        for slot, path in baked.streams.items():
            manifold.attach(slot, path.stem, _json(path, f"STREAMS: {slot}"))
            log.info("engine-1: stream %s is attached at slot %d, as STREAMS says", path, slot)

    def close(self) -> None:
        """End all jets. What is under way is finished or dropped, within seconds."""
        with ThreadPoolExecutor(len(self.engines)) as pool:
            for engine, done in [(engine, pool.submit(engine.close)) for engine in self.engines]:
                if error := done.exception():
                    log.error("%s did not close: %s", engine.name, error)
        self._closing.close()


def remote(settings: EngineSettings, env: Mapping[str, str]) -> RemoteModelManage | None:
    """Return the Model Manage of another fleet, if settings or CONNECT_PREFIX name one (rule `i.variables`).

    Opens no socket.
    """
    url = settings.connect_prefix or env.get("CONNECT_PREFIX", "").strip()
    if not url:
        return None
    token = read_token(settings.connect_token, "--connect-token") if settings.connect_token else None
    return RemoteModelManage(url, token=token, insecure=settings.connect_insecure, ca=settings.connect_ca)


def _read(path: Path, variable: str, trust: Trust | None = None) -> bytes:
    """trust: the file may be one of a bundle, and is then checked. Raises SettingsError; ModelError: it is refused."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{variable} {path}: cannot be read ({error.strerror}).") from error
    return data if trust is None else read_part(path, data, trust)


def _json(path: Path, variable: str, trust: Trust | None = None) -> Any:
    return strict_json.load(_read(path, variable, trust), f"{variable} {path}")
