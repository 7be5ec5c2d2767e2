"""FastStream on aiokafka, at least once: a batch subscriber that publishes a batch.

Settings: AckPolicy.ACK, so that offsets are committed after the scores are out; 1,000 records a batch (the
lstm scores them together) and room for them in one produce request. It has no state: windows are in memory
and begin anew after a crash.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage, KafkaPublishMessage

from bench.peers.programs.lane import STEPS, decode, encode, model, push, task

BATCH = 1000
it = task()
predict = model(it.job).predict
broker = KafkaBroker(it.servers, max_batch_size=1 << 20, logger=None)
windows: dict[bytes, list[float]] = defaultdict(list)


@broker.subscriber(
    it.source,
    group_id=it.group,
    auto_offset_reset="earliest",
    isolation_level="read_committed",
    batch=True,
    max_records=BATCH,
    ack_policy=AckPolicy.ACK,
)
async def score(batch: list[bytes], message: KafkaMessage) -> None:
    full = []
    for value, record in zip(batch, message.raw_message, strict=True):
        window = windows[record.key] = push(windows[record.key], decode(value))
        if len(window) == STEPS:
            full.append((record.key, window))
    if full:
        scores = predict([window for _, window in full])
        made = [KafkaPublishMessage(encode(scored), key=key) for (key, _), scored in zip(full, scores, strict=True)]
        await broker.publish_batch(*made, topic=it.target, partition=0)


if __name__ == "__main__":
    asyncio.run(FastStream(broker).run())
