"""A scoring job for tests with faults, and the check of what a read-committed consumer finds afterwards."""

from __future__ import annotations

import random
import re
import struct
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

from confluent_kafka import Producer

from support.kafka import Kafka
from support.service import ROLLING_MEAN_BATCHED, Service
from tests.support.summary import SUMMARY_LINES

POISON_EVERY = 97
POISONS = (b"abc", None, struct.pack("<d", -1.0), struct.pack("<d", -2.0))
"""Bytes that are no double, a tombstone, a value `push` refuses, a value only `predict` refuses."""


class Job:
    """Sends records of many keys to a topic at a pace, and knows the scores that they must give.

    Args:
        pace: records a second; None: all at once, before `start` returns.
    """

    def __init__(
        self,
        kafka: Kafka,
        name: str,
        *,
        records: int,
        partitions: int = 6,
        keys: int = 60,
        pace: float | None = None,
        servers: str | None = None,
    ) -> None:
        self.kafka = kafka
        self.input = kafka.create(f"{name}-in", partitions)
        self.output = kafka.create(f"{name}-out", partitions)
        self.group = f"{name}-group"
        self.servers = servers or kafka.servers
        self._partitions, self._keys, self._pace = partitions, keys, pace
        self._rng = random.Random(records)
        self.sent = self._make(records)
        self._feeder: threading.Thread | None = None
        self.counts: Counter[str] = Counter(records=records)
        self._title = name.split("-", 2)[-1]

    def _make(self, records: int) -> list[tuple[int, bytes, bytes | None]]:
        """(partition, key, value) of each record in the order sent."""
        records_made: list[tuple[int, bytes, bytes | None]] = []
        good: Counter[int] = Counter()
        for number in range(records):
            key = self._rng.randrange(self._keys)
            poison = number % POISON_EVERY == POISON_EVERY - 1
            value = POISONS[number // POISON_EVERY % len(POISONS)] if poison else struct.pack("<d", self._rng.random())
            if (
                value == POISONS[3] and good[key] < 29
            ):  # it would stay in the window and spoil all of the key's later ones
                value = POISONS[2]
            good[key] += not poison
            records_made.append((key % self._partitions, b"key-%d" % key, value))
        return records_made

    def expected(self) -> tuple[dict[tuple[int, int], bytes], set[tuple[int, int]]]:
        """Scores as bytes by (partition, offset), and the places of poison. Shares no code with the project."""
        scores, poisons = {}, set()
        windows: dict[bytes, list[float]] = defaultdict(list)
        offsets: Counter[int] = Counter()
        for partition, key, value in self.sent:
            place = partition, offsets[partition]
            offsets[partition] += 1
            if value in POISONS[:3]:
                poisons.add(place)
                continue
            (number,) = struct.unpack("<d", value or b"")
            window = windows[key]
            if number == -2.0:
                poisons.add(place)
                continue
            window.append(number)
            if len(window) < 30:
                continue
            total = 0.0
            for value_of_window in window[-30:]:
                total += value_of_window
            scores[place] = struct.pack("<d", total / 30)
        return scores, poisons

    def start(self) -> None:
        self._feeder = threading.Thread(target=self._feed, daemon=True)
        self._feeder.start()
        if self._pace is None:
            self._feeder.join()

    def _feed(self) -> None:
        producer = Producer(
            {
                "bootstrap.servers": self.kafka.servers,
                "enable.idempotence": True,
                "log_level": 0,
                "message.timeout.ms": 120_000,
                "linger.ms": 5,
            }
        )
        started = time.monotonic()
        for number, (partition, key, value) in enumerate(self.sent):
            if self._pace and number % 20 == 0:
                time.sleep(max(0.0, started + number / self._pace - time.monotonic()))
            while True:
                try:
                    producer.produce(self.input, value, key, partition)
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
        assert producer.flush(120) == 0

    def service(self, folder: Path, model: str = ROLLING_MEAN_BATCHED, **options: object) -> Service:
        settings: dict[str, object] = {"batch": 20, "log_level": "INFO"} | options
        kafka = {"session.timeout.ms": "3000", "heartbeat.interval.ms": "500", "transaction.timeout.ms": "5000"}
        given = dict(pair.split("=", 1) for pair in settings.pop("kafka", []))  # type: ignore[attr-defined]
        if given.get("group.protocol") == "consumer":  # the broker sets these then
            del kafka["session.timeout.ms"], kafka["heartbeat.interval.ms"]
        settings["kafka"] = [f"{key}={value}" for key, value in (kafka | given).items()]
        return Service(
            folder, model, self.servers, input_topic=self.input, output_topic=self.output, group=self.group, **settings
        )

    def finish(self, seconds: float = 240) -> None:
        """Block until all records are sent and every committed offset is at the end of its partition."""
        assert self._feeder is not None
        self._feeder.join(seconds)
        assert not self._feeder.is_alive(), "not all records were taken"
        ends = Counter(partition for partition, _, _ in self.sent)
        numbers = sorted(ends)
        deadline = time.monotonic() + seconds
        while True:
            committed = self.kafka.committed(self.group, self.input, numbers)
            if committed == [ends[number] for number in numbers]:
                return
            assert time.monotonic() < deadline, f"positions {committed} of {[ends[number] for number in numbers]}"
            time.sleep(0.2)

    def judge(self, *services: Service) -> None:
        """Every score once, bit for bit, in order per key; every poison in the dead-letter topic once."""
        scores, poisons = self.expected()
        scored: dict[tuple[int, int], bytes] = {}
        duplicates = 0
        last: dict[bytes, int] = {}
        for message in self.kafka.read(self.output):
            topic, partition, offset = dict(message.headers())["scorer-source"].decode().rsplit("/", 2)
            place = int(partition), int(offset)
            assert topic == self.input
            duplicates += place in scored
            scored[place] = message.value()
            assert last.get(message.key(), -1) < place[1], f"order of {message.key()!r}"
            last[message.key()] = place[1]
        dead = Counter()
        for message in self.kafka.read(f"{self.input}.dead-letters"):
            headers = dict(message.headers())
            dead[int(headers["__streams.errors.partition"]), int(headers["__streams.errors.offset"])] += 1
        self.counts.update(
            scores=len(scored), duplicates=duplicates, lost=len(scores.keys() - scored.keys()), rejects=len(dead)
        )
        self._count(services)
        SUMMARY_LINES.append(f"{self._title}: " + ", ".join(f"{name} {self.counts[name]:,}" for name in COUNTED))
        assert self.counts["lost"] == 0, f"lost {sorted(scores.keys() - scored.keys())[:10]}"
        assert duplicates == 0
        wrong = [place for place in scored if scores.get(place) != scored[place]]
        assert not wrong, f"{len(wrong)} scores differ from the undisturbed reference, first {sorted(wrong)[:5]}"
        assert set(dead) == poisons, (
            f"poison missing {sorted(poisons - set(dead))[:5]}, more {sorted(set(dead) - poisons)[:5]}"
        )
        assert set(dead.values()) <= {1}, "a dead letter twice"

    def _count(self, services: tuple[Service, ...]) -> None:
        text = "\n".join(path.read_text() for path in {service.log for service in services})
        for name, pattern in PATTERNS.items():
            self.counts[name] += len(re.findall(pattern, text))


PATTERNS = {
    "rebalances": r"kafka.source: (?:assigned|revoked|lost) ",
    "aborts": "transaction aborted: ",
    "fences": "starting over from what is committed: ",
}
COUNTED = ("records", "scores", "kills", "rebalances", "aborts", "fences", "rejects", "duplicates", "lost")
