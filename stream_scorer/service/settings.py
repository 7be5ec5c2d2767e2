"""The settings of `stream-scorer run`, and the rules between them.

Over 300 lines: one field for each setting, with its help.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from stream_scorer.errors import SettingsError
from stream_scorer.model.trust import Trust
from stream_scorer.parsing.addresses import Address, is_url, read_address
from stream_scorer.parsing.retention import retention_ms
from stream_scorer.parsing.times import start_ms
from stream_scorer.records import TOPIC_ENCODINGS
from stream_scorer.settings.declared import setting
from stream_scorer.settings.kafka import KafkaSettings
from stream_scorer.settings.pairs import to_map

MAX_POLL = "max.poll.interval.ms"


@dataclasses.dataclass(frozen=True)
class RunSettings(KafkaSettings):
    """`stream-scorer run`."""

    input_topic: str = setting("", "topic to read records from", metavar="TOPIC")
    output_topic: str = setting(
        "", "topic to write scores to; if the model has several output slots, SLOT=TOPIC,SLOT=TOPIC", metavar="TOPIC"
    )
    group: str = setting("", "consumer group (default: the model's name)", metavar="NAME")
    instance: str = setting(
        "",
        "name of this service within its group, part of its transactional id (default: the host name). Keep it the same "
        "over restarts; a container gets a new host name at each start",
        metavar="NAME",
    )
    attachment: Path | None = setting(
        None, "archive of the model's files (default: attachment.tar.gz beside the model)"
    )
    schema: dict[str, str] = setting(
        {}, "Avro schema file for a schema name in the model; repeat the flag for more", metavar="NAME=FILE"
    )
    unverified: bool = setting(
        False,
        "use a bundle although its files are not what its manifest.json says: whoever changed them runs code here",
    )
    require_signature: Path | None = setting(
        None, "file of Ed25519 public keys in PEM: use only a bundle that one of them has signed (`export --sign`)"
    )
    session: str = setting(
        "key",
        "which records share one state: those of one key, of one partition, or all; all needs a topic of one partition",
        choices=("key", "partition", "all"),
    )
    delivery: str = setting(
        "exactly-once",
        "exactly-once: commit outputs, state and offsets in one transaction; at-least-once: no transactions, outputs may "
        "be repeated after a failure",
        choices=("exactly-once", "at-least-once"),
    )
    on_bad_record: str = setting(
        "dead-letter",
        "what to do with a record that cannot be scored: send it to the dead letter topic, skip it, or stop",
        choices=("dead-letter", "skip", "fail"),
    )
    dead_letter_topic: str = setting(
        "", "topic for records that cannot be scored (default: INPUT_TOPIC.dead-letters)", metavar="TOPIC"
    )
    input_encoding: str = setting("avro-binary", "encoding of input values", choices=TOPIC_ENCODINGS)
    output_encoding: str = setting("avro-binary", "encoding of scores", choices=TOPIC_ENCODINGS)
    framing: str = setting(
        "none",
        "registry: values begin with the schema registry's five bytes, a zero and the schema id",
        choices=("none", "registry"),
    )
    schema_registry: str = setting(
        "",
        "URL of the schema registry, for --framing registry; @FILE: it is read from the file",
        metavar="URL",
        from_file=True,
    )
    registry: dict[str, str] = setting(
        {},
        "a property of the connection to the schema registry, named as in Confluent's clients: basic.auth.user.info "
        "(USER:PASSWORD), bearer.auth.token, ssl.ca.location, ssl.certificate.location, ssl.key.location, "
        "ssl.key.password, proxy, timeout, ...; the value @FILE is read from the file; repeat the flag for more",
    )
    output_schema_id: int | None = setting(None, "schema id of scores, if there is no --schema-registry", low=0)
    pass_headers: bool = setting(False, "copy all headers of an input to its scores (traceparent is always copied)")
    output_partition: str = setting(
        "same",
        "partition of a score: that with the number of the input's partition, or that which its key hashes to",
        choices=("same", "key"),
    )
    start: str = setting(
        "committed",
        "where a group without a committed offset starts: earliest, latest, or a date, time or ms since 1970; committed "
        "means earliest, too",
        metavar="WHERE",
    )
    warm_up: int = setting(
        0, "records per partition to feed before such a start, without publishing their scores", low=0
    )
    changelog: bool = setting(True, "keep the state of sessions on a changelog topic")
    changelog_topic: str = setting(
        "", "the changelog topic (default: GROUP.INPUT_TOPIC.HASH.changelog)", metavar="TOPIC"
    )
    on_state_mismatch: str = setting(
        "auto",
        "what to do if the saved state does not belong to the committed offset: rebuild it from earlier inputs, restart "
        "with empty state, or stop; auto: rebuild if the model has a window, else stop",
        choices=("auto", "rebuild", "restart", "fail"),
    )
    on_gap: str = setting(
        "fail",
        "what to do if records after the committed offset were deleted, or the topic was created anew: stop; rebuild "
        "sessions from the inputs before the first record there is, and go on from it; or go on from it with the sessions "
        "as they were",
        choices=("fail", "rebuild", "continue"),
    )
    session_ttl: float | None = setting(
        None, "drop the state of a session after this long without a record, in record time", low=0
    )
    max_sessions: int | None = setting(
        None, "most sessions per partition; beyond it the least recently used one is dropped", low=1
    )
    max_rejects_in_row: int | None = setting(None, "stop after this many consecutive rejected records", low=1)
    workers: int = setting(1, "number of worker processes to run here, all in this group", low=1)
    evaluate: bool = setting(
        False, "compare each forecast with the next value of its key, and publish the errors (docs/evaluation.md)"
    )
    evaluation_topic: str = setting("", "topic for evaluations (default: OUTPUT_TOPIC-evaluation)", metavar="TOPIC")
    evaluate_field: str = setting(
        "", "field of input and output records with the number that is forecast", metavar="NAME"
    )
    evaluate_low: str = setting(
        "low", "field of output records with the lower bound of the forecast's interval", metavar="NAME"
    )
    evaluate_high: str = setting(
        "high", "field of output records with the upper bound of the forecast's interval", metavar="NAME"
    )
    evaluate_date: str = setting(
        "",
        "field of input and output records with a day or time: a forecast is compared with the input of the same day or "
        "time (default: with the next record)",
        metavar="NAME",
    )
    evaluate_window: int = setting(1000, "window size, in forecasts and inputs, of the rolling metrics", low=30)
    reference: Path | None = setting(
        None,
        "JSON list of numbers to compare the inputs with, for drift (default: reference.json beside the model, else the "
        "first inputs)",
    )
    http: str = setting(
        "",
        "HOST:PORT, [IPV6]:PORT or PORT to serve /livez /readyz /status /metrics on; worker N of several uses PORT + N, N "
        "from 0",
        metavar="ADDRESS",
    )
    create_topics: bool = setting(
        False, "create topics that do not exist, and add the partitions that output topics lack"
    )
    partitions: int = setting(1, "partitions of an input topic created here", low=1)
    replication_factor: int = setting(
        -1,
        "replication factor of topics created here; -1: the broker's default",
        low=-1,
    )
    retention: str = setting(
        "forever",
        "how long topics created here keep records, by record time: forever, or 7d, 12h, 30m, 45s (not the changelog)",
        metavar="SPAN",
    )
    batch: int = setting(10_000, "most records in one transaction", low=1)
    batch_time: float = setting(
        0.2,
        "longest scoring time of one transaction at full load: a lower value gives lower latency, a higher one more "
        "throughput",
        low=0.001,
    )
    commit_interval: float = setting(
        0.0,
        "collect records for this long before each transaction: fewer transactions at low load, and later scores",
        low=0,
    )
    until_end: bool = setting(False, "stop when every partition has been read to its end")
    log_level: str = setting("INFO", "lowest level to log", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    log_format: str = setting("text", "format of log lines", choices=("text", "json"))

    def __post_init__(self) -> None:
        super().__post_init__()
        self.need("input_topic", "output_topic")
        self._check_topics()
        self.trust().check_files([self.attachment, *self.schema])
        _check_start(self.start)
        retention_ms(self.retention)
        if self.http:
            self.http_address()
        self.longest_step_s()
        if self.framing == "registry" and not self.schema_registry and self.output_schema_id is None:
            raise SettingsError(
                "--framing registry needs --schema-registry URL, or --output-schema-id N if no registry is to be asked."
            )
        if self.schema_registry:
            _check_registry(self.schema_registry)
        if self.registry and not self.schema_registry:
            raise SettingsError("--registry needs --schema-registry URL: without it no registry is asked.")
        if self.framing == "none" and (self.schema_registry or self.output_schema_id is not None):
            raise SettingsError("--schema-registry and --output-schema-id need --framing registry.")
        if not self.evaluate and (self.evaluation_topic or self.evaluate_field or self.evaluate_date or self.reference):
            raise SettingsError(
                "--evaluation-topic, --evaluate-field, --evaluate-date and --reference need --evaluate."
            )
        if self.on_bad_record != "dead-letter" and self.dead_letter_topic:
            raise SettingsError(f"--dead-letter-topic contradicts --on-bad-record {self.on_bad_record}.")

    def trust(self) -> Trust:
        """What is asked of the model's files. Raises SettingsError."""
        return Trust(self.unverified, self.require_signature)

    def _check_topics(self) -> None:
        """No topic may have two uses: records written for one would be read as the other."""
        inputs, outputs = {self.input_topic}, set(self.output_topics().values())
        if inputs & outputs:
            raise SettingsError(
                f"--input-topic and --output-topic are both {self.input_topic!r}: scores would be scored again."
            )
        dead_letters = self.dead_letters()
        if dead_letters in inputs | outputs:
            raise SettingsError(
                f"dead letters would go to {dead_letters!r}, which is also the input or output topic. "
                "Give another --dead-letter-topic."
            )
        evaluations = self.evaluations()
        if evaluations in inputs | outputs | {dead_letters} - {None}:
            raise SettingsError(
                f"evaluations would go to {evaluations!r}, which has another use. Give another --evaluation-topic."
            )
        if self.changelog_topic and self.changelog_topic in inputs | outputs | {dead_letters, evaluations}:
            raise SettingsError(
                f"--changelog-topic {self.changelog_topic!r} has another use: state needs a topic of its own."
            )

    def output_topics(self) -> dict[int, str]:
        """Topic of each output slot. Raises SettingsError if a slot is not an odd number."""
        return topics_by_slot(self.output_topic)

    def forecasts(self) -> int:
        """The output slot whose outputs are evaluated: the first."""
        return min(self.output_topics())

    def evaluations(self) -> str | None:
        """Topic of evaluations; None without --evaluate."""
        if not self.evaluate:
            return None
        return self.evaluation_topic or f"{self.output_topics()[self.forecasts()]}-evaluation"

    def http_address(self) -> Address:
        """The address of the first worker. Raises SettingsError."""
        return read_address(self.http, "--http", ports=self.workers)

    def longest_step_s(self) -> float:
        """Seconds that one step may take before the group removes the worker: max.poll.interval.ms. Raises SettingsError."""
        given = self.kafka.get(MAX_POLL, "300000")
        if not (given.isascii() and given.isdecimal()) or len(given) > 18:
            raise SettingsError(f"--kafka {MAX_POLL}={given}: expected a number of milliseconds.")
        return int(given) / 1000

    def mismatch_policy(self, *, stateful: bool) -> str:
        """`on_state_mismatch` for a model with state globals, or without.

        Without, only pending forecasts can be lost: then one forecast of each key is not judged, which stops no service.
        """
        return "restart" if self.on_state_mismatch == "auto" and not stateful else self.on_state_mismatch

    def dead_letters(self) -> str | None:
        """Topic of dead letters; None unless --on-bad-record is dead-letter."""
        if self.on_bad_record != "dead-letter":
            return None
        return self.dead_letter_topic or f"{self.input_topic}.dead-letters"


def topics_by_slot(text: str) -> dict[int, str]:
    """Parse --output-topic: TOPIC, for slot 1, or SLOT=TOPIC,SLOT=TOPIC. Raises SettingsError if a slot is not odd."""
    if "=" not in text:
        return {1: text}
    topics = {}
    for slot, topic in to_map(text, "--output-topic", shown=True).items():
        if not slot.isdecimal() or len(slot) > 9 or int(slot) % 2 == 0:
            raise SettingsError(f"--output-topic {slot}={topic}: output slots are odd numbers.")
        topics[int(slot)] = topic
    return topics


def _check_start(start: str) -> None:
    if start in ("committed", "earliest", "latest"):
        return
    try:
        start_ms(start)
    except ValueError:
        raise SettingsError(
            f"--start {start!r} is not committed, earliest, latest, a date or time such as 2024-02-29T14:30, "
            "or ms since 1970."
        ) from None


def _check_registry(url: str) -> None:
    """The error text does not repeat the URL, which may hold a password."""
    if not is_url(url):
        raise SettingsError("--schema-registry: expected a URL http://[USER:PASSWORD@]HOST:PORT, or https.")
