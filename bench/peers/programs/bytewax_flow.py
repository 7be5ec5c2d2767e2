"""Bytewax with its recovery store: at least once.

Settings: 1,000 records a batch (its default); snapshots every 10 s (its default). Windows are moved on by
`stateful_map`; what it hands on at once is scored together by `flat_map_batch`, so the lstm has whole batches.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from bench.peers.programs.lane import STEPS, decode, encode, model, push, task

Windows = list[tuple[str, list[float]]]
it = task()
predict = model(it.job).predict


def by_key(message: KafkaSourceMessage) -> tuple[str, float]:
    return message.key.decode(), decode(message.value)


def move(window: list[float] | None, value: float) -> tuple[list[float], list[float]]:
    window = push(window or [], value)
    return window, window


def score(windows: Windows) -> list[KafkaSinkMessage]:
    full = [(key, window) for key, window in windows if len(window) == STEPS]
    if not full:
        return []
    scores = predict([window for _, window in full])
    return [KafkaSinkMessage(key.encode(), encode(scored)) for (key, _), scored in zip(full, scores, strict=True)]


flow = Dataflow("scores")
source = op.input(
    "source", flow, KafkaSource([it.servers], [it.source], add_config={"isolation.level": "read_committed"})
)
windows = op.stateful_map("windows", op.map("by_key", source, by_key), move)
op.output("target", op.flat_map_batch("score", windows, score), KafkaSink([it.servers], it.target))

if __name__ == "__main__":
    Path("recovery").mkdir()
    init_db_dir(Path("recovery"), 1)
    cli_main(flow, epoch_interval=timedelta(seconds=10), recovery_config=RecoveryConfig("recovery", timedelta(0)))
