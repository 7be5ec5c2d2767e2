"""Memory of the service over millions of records: it must not grow with what has been scored."""

from __future__ import annotations

import struct
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from bench.figures import LOWER, ratio, target
from bench.processes import rss_mb, status
from support.brokers import free_ports
from support.kafka import Kafka
from support.service import ROLLING_MEAN_BATCHED, Service

RECORDS = 2_000_000
KEYS = 50
CHUNK = 1000
BEGIN = 0.1
"""After this share of the records the buffers have their full size: growth is measured from here on."""


def run(kafka: Kafka, share: float) -> dict[str, Any]:
    count = int(RECORDS * share)
    topic, out = (kafka.create(f"bench-{uuid.uuid4().hex[:8]}") for _ in range(2))
    (port,) = free_ports(1)
    flags = {"input_topic": topic, "output_topic": out, "group": out, "http": port}
    producing = threading.Thread(target=_produce, args=(kafka, topic, count), daemon=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        Service(Path(folder), ROLLING_MEAN_BATCHED, kafka.servers, **flags) as service,
    ):
        service.wait_for("assigned")
        producing.start()
        samples = _sample(service, port, count, every_s=min(1.0, share))
    producing.join()
    # The last sample is of an idle service, which has freed its fetch buffers.
    filled = [sample for sample in samples if BEGIN * count <= sample[0] < count] or samples[-1:]
    slope = _slope([(records / 1e6, rss) for records, rss in filled])
    begin, end = filled[0][1], filled[-1][1]
    print(f"{count:,} records, {len(samples)} samples:", end=" ")
    print(f"{begin:.1f} MB after {BEGIN:.0%}, {end:.1f} MB at the end, {samples[-1][1]:.1f} MB idle")
    target("growth per million records", slope, 1, LOWER, " MB")
    return {
        "records": count,
        "mb_at_tenth": begin,
        "mb_at_end": end,
        "mb_per_million": slope,
        "samples": [[records, round(rss, 1)] for records, rss in samples],
        "ratios": {"memory at the end / after a tenth": ratio(end / begin, LOWER)},
    }


def _produce(kafka: Kafka, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": kafka.servers, "linger.ms": 5})
    chunk = [{"value": struct.pack("<d", 1 + at % 97 * 0.01), "key": b"k%d" % (at % KEYS)} for at in range(CHUNK)]
    for _ in range(count // CHUNK):
        while len(producer) > 50_000:
            producer.poll(0.05)
        producer.produce_batch(topic, chunk)
    assert producer.flush(60) == 0


def _sample(service: Service, port: int, count: int, every_s: float) -> list[tuple[int, float]]:
    """(records scored, MB resident) at intervals until all are scored."""
    samples: list[tuple[int, float]] = []
    while not samples or samples[-1][0] < count:
        assert service.process.poll() is None, service.text()[-3000:]
        samples.append((status(port)["records"], rss_mb(service.process.pid)))
        time.sleep(every_s)
    return samples


def _slope(points: list[tuple[float, float]]) -> float:
    """Slope of the least-squares line through the points."""
    middle_x, middle_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread if spread else 0.0
