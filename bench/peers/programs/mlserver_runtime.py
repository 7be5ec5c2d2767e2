"""MLServer's Kafka server with a custom runtime: no guarantee (no consumer group, no committed offsets).

It cannot take Avro: records are JSON of the V2 inference protocol, with the key as a first input, and every
record is answered, with null until the window is full. Its consumer reads uncommitted records and cannot be
told otherwise. Settings: inference in the server's own process, without metrics and debug logging. Adaptive
batching is off: under load its queue does not keep the order of requests, and windows came out wrong when it
was tried. So the lstm goes through the module's rolling `action`.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections import defaultdict
from pathlib import Path

from mlserver import MLModel, MLServer
from mlserver.cli.serve import load_settings
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

from bench.peers.programs.lane import Model, model, task


class Runtime(MLModel):
    _model: Model
    _windows: dict[str, list[float]]

    async def load(self) -> bool:
        self._model, self._windows = model(task().job), defaultdict(list)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        name, value = (field.data.root[0] for field in payload.inputs)
        self._windows[name], scored = self._model.step(self._windows[name], value)
        output = ResponseOutput(name="score", shape=[1, 1], datatype="FP64", data=[scored])
        return InferenceResponse(model_name=self.name, outputs=[output])


async def main() -> None:
    """As `mlserver start .` does, with its two files of settings written first."""
    it = task()
    settings = {
        "debug": False,
        "parallel_workers": 0,
        "host": "127.0.0.1",
        "http_port": _free_port(),
        "grpc_port": _free_port(),
        "metrics_endpoint": None,
        "kafka_enabled": True,
        "kafka_servers": it.servers,
        "kafka_topic_input": it.source,
        "kafka_topic_output": it.target,
    }
    runtime = {"name": "peer", "implementation": "bench.peers.programs.mlserver_runtime.Runtime"}
    Path("settings.json").write_text(json.dumps(settings))
    Path("model-settings.json").write_text(json.dumps(runtime))
    loaded, models = await load_settings(".")
    await MLServer(loaded).start(models)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    asyncio.run(main())
