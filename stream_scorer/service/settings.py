"""The settings of `stream-scorer run`, and what must go together in them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from stream_scorer.errors import SettingsError
from stream_scorer.parsing.addresses import Address, is_url, read_address
from stream_scorer.parsing.retention import retention_ms
from stream_scorer.parsing.times import timestamp_ms
from stream_scorer.settings.declared import setting, to_map
from stream_scorer.settings.kafka import KafkaSettings

MAX_POLL = "max.poll.interval.ms"


@dataclasses.dataclass(frozen=True)
class RunSettings(KafkaSettings):
    """`stream-scorer run`."""

    input_topic: str = setting("", "topic to read records from")
    output_topic: str = setting("", "topic for scores; with several output slots SLOT=TOPIC,SLOT=TOPIC")
    group: str = setting("", "consumer group (default: the model's name)")
    instance: str = setting(
        "",
        "name of this service within its group, for its transactional id (default: host name). It should stay the same over "
        "restarts, which a container's host name does not",
    )
    attachment: Path | None = setting(
        None, "archive of the model's files (default: attachment.tar.gz beside the model)"
    )
    schema: dict[str, str] = setting({}, "NAME=FILE: Avro schema for a name the model uses; may be repeated")
    session: str = setting("key", "what has a state of its own", choices=("key", "partition", "all"))
    delivery: str = setting(
        "exactly-once", "what readers of the output are promised", choices=("exactly-once", "at-least-once")
    )
    on_bad_record: str = setting(
        "dead-letter", "what becomes of a record that cannot be scored", choices=("dead-letter", "skip", "fail")
    )
    dead_letter_topic: str = setting("", "topic for such records (default: INPUT_TOPIC.dead-letters)")
    input_encoding: str = setting("avro-binary", "encoding of input values", choices=("avro-binary", "json"))
    output_encoding: str = setting("avro-binary", "encoding of scores", choices=("avro-binary", "json"))
    framing: str = setting(
        "none", "registry: values carry the schema registry's five bytes", choices=("none", "registry")
    )
    schema_registry: str = setting("", "URL of the schema registry, for --framing registry")
    registry: dict[str, str] = setting(
        {},
        "KEY=VALUE: property of the schema registry's client, as Confluent's clients name them: basic.auth.user.info, "
        "ssl.ca.location, ssl.certificate.location, bearer.auth.token, ...; VALUE @FILE is read from a file; may be repeated",
    )
    output_schema_id: int | None = setting(None, "schema id of scores, where no registry is asked", low=0)
    pass_headers: bool = setting(False, "hand on all headers of the input (traceparent is handed on in any case)")
    output_partition: str = setting(
        "same", "partition of a score: the input's number, or chosen by key", choices=("same", "key")
    )
    start: str = setting(
        "committed",
        "where a group without a committed offset begins: committed (as earliest), earliest, latest, or a time",
    )
    warm_up: int = setting(0, "inputs before such a start to feed with outputs dropped, per partition", low=0)
    changelog: bool = setting(True, "keep session state on a changelog topic")
    changelog_topic: str = setting("", "name of the changelog (default: GROUP.INPUT_TOPIC.HASH.changelog)")
    on_state_mismatch: str = setting(
        "auto",
        "what to do when saved state and committed offset do not fit together; auto: rebuild a window model, else fail",
        choices=("auto", "rebuild", "restart", "fail"),
    )
    on_gap: str = setting(
        "fail",
        "what to do when records after the committed offset are gone, or the topic was created anew: stop; go on with "
        "what is there, sessions rebuilt from the inputs before it; or go on there with sessions as they were",
        choices=("fail", "rebuild", "continue"),
    )
    session_ttl: float | None = setting(
        None, "a session begins anew after so long without a record, by record time", low=0
    )
    max_sessions: int | None = setting(None, "most sessions per partition; the longest unused is dropped", low=1)
    max_rejects_in_row: int | None = setting(None, "stop after so many rejected records in a row", low=1)
    workers: int = setting(1, "processes of this group to run here", low=1)
    evaluate: bool = setting(
        False, "join each forecast with the value that comes next for its key, and judge it (docs/evaluation.md)"
    )
    evaluation_topic: str = setting("", "topic for what came of it (default: OUTPUT_TOPIC-evaluation)")
    evaluate_field: str = setting("", "field of input and output records that is the number to judge")
    evaluate_low: str = setting("low", "field of output records: lower bound of the forecast's interval")
    evaluate_high: str = setting("high", "field of output records: upper bound of it")
    evaluate_date: str = setting(
        "",
        "field of input and output records: the day or time one is of, the other forecasts (default: the next record)",
    )
    evaluate_window: int = setting(1000, "how many of the last forecasts and inputs the rolling figures are of", low=30)
    reference: Path | None = setting(
        None,
        "JSON list of numbers to compare inputs with (default: reference.json beside the model, else the first inputs)",
    )
    http: str = setting(
        "", "HOST:PORT, [IPV6]:PORT or PORT for /livez /readyz /status /metrics; worker k of several adds k"
    )
    create_topics: bool = setting(False, "create topics that do not exist, and partitions that output topics lack")
    partitions: int = setting(1, "partitions of an input topic created so", low=1)
    replication_factor: int = setting(-1, "replication factor of topics created (-1: the broker's)", low=-1)
    retention: str = setting(
        "forever",
        "how long topics created here keep records, by record time: forever, or 7d, 12h, 30m, 45s (not the changelog)",
    )
    batch: int = setting(10_000, "most records in one transaction", low=1)
    batch_time: float = setting(
        0.2, "how long one transaction may score at full load: less for latency, more for throughput", low=0.001
    )
    commit_interval: float = setting(
        0.0, "gather records for so long before each transaction: fewer of them at low load, later scores", low=0
    )
    until_end: bool = setting(False, "stop when every partition has been read to its end")
    log_level: str = setting("INFO", "least level logged", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    log_format: str = setting("text", "form of log lines", choices=("text", "json"))

    def __post_init__(self) -> None:
        self.need("input_topic", "output_topic", "bootstrap_servers")
        self._check_topics()
        _check_start(self.start)
        retention_ms(self.retention)
        if self.http:
            self.http_address()
        self.longest_step_s()
        if self.framing == "registry" and not self.schema_registry and self.output_schema_id is None:
            raise SettingsError(
                "--framing registry needs --schema-registry URL, or --output-schema-id N for scores without asking one."
            )
        if self.schema_registry:
            _check_registry(self.schema_registry)
        if self.registry and not self.schema_registry:
            raise SettingsError("--registry means something with --schema-registry URL only.")
        if self.framing == "none" and (self.schema_registry or self.output_schema_id is not None):
            raise SettingsError("--schema-registry and --output-schema-id mean something with --framing registry only.")
        if not self.evaluate and (self.evaluation_topic or self.evaluate_field or self.evaluate_date or self.reference):
            raise SettingsError(
                "--evaluation-topic, --evaluate-field, --evaluate-date and --reference mean something with --evaluate only."
            )
        if self.on_bad_record != "dead-letter" and self.dead_letter_topic:
            raise SettingsError(f"--dead-letter-topic contradicts --on-bad-record {self.on_bad_record}.")

    def _check_topics(self) -> None:
        """No topic may serve two ends: what is written would be read as what it is not."""
        inputs, outputs = {self.input_topic}, set(self.output_topics().values())
        if inputs & outputs:
            raise SettingsError(
                f"--input-topic and --output-topic are both {self.input_topic!r}: scores would be scored again."
            )
        dead_letters = self.dead_letters()
        if dead_letters in inputs | outputs:
            raise SettingsError(
                f"dead letters would go to {dead_letters!r}, which is the input or output topic too. "
                "Give another --dead-letter-topic."
            )
        evaluations = self.evaluations()
        if evaluations in inputs | outputs | {dead_letters} - {None}:
            raise SettingsError(
                f"evaluations would go to {evaluations!r}, which has another use already. Give another --evaluation-topic."
            )
        if self.changelog_topic and self.changelog_topic in inputs | outputs | {dead_letters, evaluations}:
            raise SettingsError(
                f"--changelog-topic {self.changelog_topic!r} has another use already: state needs a topic of its own."
            )

    def output_topics(self) -> dict[int, str]:
        """Topic of each output slot. Raises SettingsError on a slot that is no odd number."""
        return topics_by_slot(self.output_topic)

    def forecasts(self) -> int:
        """The output slot whose data are judged: the first."""
        return min(self.output_topics())

    def evaluations(self) -> str | None:
        """Topic of evaluations; None if there are none."""
        if not self.evaluate:
            return None
        return self.evaluation_topic or f"{self.output_topics()[self.forecasts()]}-evaluation"

    def http_address(self) -> Address:
        """Of the first worker. Raises SettingsError."""
        return read_address(self.http, "--http", ports=self.workers)

    def longest_step_s(self) -> float:
        """How long a worker may be in one step before its group takes it for dead, s. Raises SettingsError."""
        given = self.kafka.get(MAX_POLL, "300000")
        if not (given.isascii() and given.isdecimal()):
            raise SettingsError(f"--kafka {MAX_POLL}={given}: expected a number of milliseconds.")
        return int(given) / 1000

    def mismatch_policy(self, *, stateful: bool) -> str:
        """`on_state_mismatch` for a model with state globals, or without.

        Without, only pending forecasts can be lost: then one forecast of each key is not judged, which stops no service.
        """
        return "restart" if self.on_state_mismatch == "auto" and not stateful else self.on_state_mismatch

    def dead_letters(self) -> str | None:
        if self.on_bad_record != "dead-letter":
            return None
        return self.dead_letter_topic or f"{self.input_topic}.dead-letters"


def topics_by_slot(text: str) -> dict[int, str]:
    """Of --output-topic: TOPIC is slot 1's, or SLOT=TOPIC,SLOT=TOPIC. Raises SettingsError on a slot that is no odd number."""
    if "=" not in text:
        return {1: text}
    topics = {}
    for slot, topic in to_map(text, "--output-topic").items():
        if not slot.isdecimal() or len(slot) > 9 or int(slot) % 2 == 0:
            raise SettingsError(f"--output-topic {slot}={topic}: output slots are odd numbers.")
        topics[int(slot)] = topic
    return topics


def _check_start(start: str) -> None:
    if start in ("committed", "earliest", "latest") or start.isdecimal():
        return
    try:
        timestamp_ms(start)
    except ValueError:
        raise SettingsError(
            f"--start {start!r} is none of committed, earliest, latest, a date or time such as 2024-02-29T14:30, "
            "or ms since 1970."
        ) from None


def _check_registry(url: str) -> None:
    """The text does not repeat the URL: it may hold a password."""
    if not is_url(url):
        raise SettingsError("--schema-registry is no URL of the form http://[USER:PASSWORD@]HOST:PORT, or https.")
