"""Settings: defaults < TOML file < environment (STREAM_SCORER_...) < flags, checked before any socket opens.

One frozen dataclass per command; its fields are the flags, the TOML keys and the variables at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import math
import os
import tomllib
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from stream_scorer.errors import SettingsError
from stream_scorer.times import timestamp_ms

ENV_PREFIX = "STREAM_SCORER_"
T = TypeVar("T")


def setting(default: Any, text: str, *, choices: tuple[str, ...] = (), low: float | None = None) -> Any:
    """A dataclass field with its help text, legal values and lower bound. A dict default is a KEY=VALUE setting."""
    metadata = {"help": text, "choices": choices, "low": low}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=dict, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def add_flags(parser: argparse.ArgumentParser, cls: type) -> None:
    """One flag per field of `cls`; a flag not given leaves no trace in the namespace."""
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        flag = "--" + field.name.replace("_", "-")
        text = field.metadata["help"]
        if hints[field.name] is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text)
        elif _is_map(hints[field.name]):
            parser.add_argument(flag, action="append", metavar="KEY=VALUE", default=argparse.SUPPRESS, help=text)
        else:
            shown = "" if field.default in (None, "") else f" (default: {field.default})"
            choices = field.metadata["choices"]
            metavar = "|".join(choices) if choices else _metavar(hints[field.name])
            parser.add_argument(flag, metavar=metavar, default=argparse.SUPPRESS, help=text.replace("%", "%%") + shown)


def add_broker_flags(parser: argparse.ArgumentParser) -> None:
    """Where Kafka is, for the commands that have few settings of their own."""
    parser.add_argument(
        "--bootstrap-servers",
        default=os.environ.get(ENV_PREFIX + "BOOTSTRAP_SERVERS", "localhost:9092"),
        metavar="TEXT",
        help="Kafka brokers (default: %(default)s)",
    )
    parser.add_argument(
        "--kafka", action="append", default=[], metavar="KEY=VALUE", help="any librdkafka property; may be repeated"
    )


def load(cls: type[T], flags: Mapping[str, Any], file: Path | None, env: Mapping[str, str] | None = None) -> T:
    """Merge the four layers into one `cls`. Raises SettingsError that names the setting and where it came from."""
    env = os.environ if env is None else env
    hints = get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name, raw, origin in [*_from_file(file, fields), *_from_env(env, fields), *_from_flags(flags, fields)]:
        value = _convert(raw, hints[name], fields[name], origin)
        values[name] = {**values.get(name, {}), **value} if _is_map(hints[name]) else value
    return cls(**values)


def _from_file(file: Path | None, fields: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    if file is None:
        return []
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"--config {file}: cannot be read ({error.strerror}).") from error
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError are such
        raise SettingsError(f"--config {file}: not TOML: {error}.") from error
    found = []
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in fields:
            raise SettingsError(f"{file}: no setting {key!r}.{_nearest(name, fields)}")
        found.append((name, value, f"{file}: {key}"))
    return found


def _from_env(env: Mapping[str, str], fields: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    return [(name, env[variable], variable) for name in fields if (variable := ENV_PREFIX + name.upper()) in env]


def _from_flags(flags: Mapping[str, Any], fields: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    return [(name, flags[name], "--" + name.replace("_", "-")) for name in fields if name in flags]


def _convert(raw: Any, kind: Any, field: Any, origin: str) -> Any:
    try:
        value = to_map(raw) if _is_map(kind) else _to_scalar(raw, kind)
    except ValueError as error:
        raise SettingsError(f"{origin}: {error}.") from error
    choices, low = field.metadata["choices"], field.metadata["low"]
    if choices and value not in choices:
        raise SettingsError(f"{origin}: {value!r} is none of {', '.join(choices)}.{_nearest(str(value), choices)}")
    if low is not None and value is not None and value < low:
        raise SettingsError(f"{origin}: {value} is below {low}.")
    return value


def _to_scalar(raw: Any, kind: Any) -> Any:
    base = next(
        (part for part in (bool, int, float, Path) if part is kind or part in getattr(kind, "__args__", ())), str
    )
    if base is bool:
        if isinstance(raw, bool):
            return raw
        if str(raw).lower() in ("1", "true", "yes", "on"):
            return True
        if str(raw).lower() in ("0", "false", "no", "off"):
            return False
        raise ValueError(f"{raw!r} is neither true nor false")
    if isinstance(raw, dict | list | bool):
        raise ValueError(f"{raw!r} is not one value")
    if base is int and isinstance(raw, float) and not raw.is_integer():
        raise ValueError(f"{raw!r} is not a whole number")
    try:
        value = base(raw)
    except ValueError:
        raise ValueError(f"{raw!r} is not a number") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{raw!r} is not a finite number")
    return value


def to_map(raw: Any) -> dict[str, str]:
    """KEY=VALUE strings, or a TOML table. @FILE stands for what is in the file, so secrets stay out of `ps`; @@ for @."""
    if isinstance(raw, dict):
        pairs = [(key, str(value).lower() if isinstance(value, bool) else str(value)) for key, value in _flat(raw)]
    else:
        items = raw if isinstance(raw, list) else [item for item in str(raw).split(",") if item]
        for item in items:
            if "=" not in item:
                raise ValueError(f"{item!r} is not KEY=VALUE")
        pairs = [tuple(item.split("=", 1)) for item in items]
    return {key.strip(): _secret(key, value.strip()) for key, value in pairs}


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """TOML reads `sasl.username = "x"` as a table in a table: join the names again."""
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        found += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return found


def _secret(key: str, value: str) -> str:
    if not value.startswith("@") or value.startswith("@@"):
        return value.removeprefix("@")
    try:
        return Path(value[1:]).read_text().strip()
    except OSError as error:
        raise ValueError(f"{key}: the file {value[1:]} cannot be read ({error.strerror})") from error


def _is_map(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is dict


def _metavar(kind: Any) -> str:
    names = {int: "N", float: "SECONDS", Path: "FILE"}
    return next((names[part] for part in names if part is kind or part in getattr(kind, "__args__", ())), "TEXT")


def _nearest(name: str, names: Any) -> str:
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean {near[0]}?" if near else f" There are: {', '.join(sorted(names))}."


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """`stream-scorer run`."""

    bootstrap_servers: str = setting("localhost:9092", "Kafka brokers, host:port with commas between")
    input_topic: str = setting("", "topic to read records from")
    output_topic: str = setting("", "topic for scores; with several output slots SLOT=TOPIC,SLOT=TOPIC")
    group: str = setting("", "consumer group (default: the model's name)")
    instance: str = setting("", "name of this service within its group, for its transactional id (default: host name)")
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
    changelog_topic: str = setting("", "name of the changelog (default: GROUP.INPUT_TOPIC.changelog)")
    on_state_mismatch: str = setting(
        "auto",
        "what to do when saved state and committed offset do not fit together; auto: rebuild a window model, else fail",
        choices=("auto", "rebuild", "restart", "fail"),
    )
    session_ttl: float | None = setting(
        None, "a session begins anew after so long without a record, by record time", low=0
    )
    max_sessions: int | None = setting(None, "most sessions per partition; the longest unused is dropped", low=1)
    max_rejects_in_row: int | None = setting(None, "stop after so many rejected records in a row", low=1)
    workers: int = setting(1, "processes of this group to run here", low=1)
    http: str = setting("", "HOST:PORT or PORT for /livez /readyz /status /metrics; worker k of several adds k")
    create_topics: bool = setting(False, "create topics that do not exist")
    partitions: int = setting(1, "partitions of an input topic created so", low=1)
    replication_factor: int = setting(-1, "replication factor of topics created (-1: the broker's)", low=-1)
    batch: int = setting(10_000, "most records in one transaction", low=1)
    batch_time: float = setting(
        0.2, "how long one transaction may score at full load: less for latency, more for throughput", low=0.001
    )
    commit_interval: float = setting(
        0.0, "gather records for so long before each transaction: fewer of them at low load, later scores", low=0
    )
    until_end: bool = setting(False, "stop when every partition has been read to its end")
    kafka: dict[str, str] = setting(
        {}, "KEY=VALUE: any librdkafka property; VALUE @FILE is read from a file; may be repeated"
    )
    log_level: str = setting("INFO", "least level logged", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    log_format: str = setting("text", "form of log lines", choices=("text", "json"))

    def __post_init__(self) -> None:
        for name in ("input_topic", "output_topic", "bootstrap_servers"):
            if not getattr(self, name):
                raise SettingsError(
                    f"--{name.replace('_', '-')} is not set. Give the flag, {ENV_PREFIX}{name.upper()}, or the key in --config."
                )
        self._check_topics()
        _check_start(self.start)
        if self.http:
            _check_address(self.http, self.workers)
        if self.framing == "registry" and not self.schema_registry and self.output_schema_id is None:
            raise SettingsError(
                "--framing registry needs --schema-registry URL, or --output-schema-id N for scores without asking one."
            )
        if self.schema_registry:
            _check_registry(self.schema_registry)
        if self.framing == "none" and (self.schema_registry or self.output_schema_id is not None):
            raise SettingsError("--schema-registry and --output-schema-id mean something with --framing registry only.")
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
        if self.changelog_topic and self.changelog_topic in inputs | outputs | {dead_letters}:
            raise SettingsError(
                f"--changelog-topic {self.changelog_topic!r} has another use already: state needs a topic of its own."
            )

    def output_topics(self) -> dict[int, str]:
        """Topic of each output slot. Raises SettingsError on a slot that is no odd number."""
        if "=" not in self.output_topic:
            return {1: self.output_topic}
        topics = {}
        for slot, topic in to_map(self.output_topic).items():
            if not slot.isdigit() or int(slot) % 2 == 0:
                raise SettingsError(f"--output-topic {slot}={topic}: output slots are odd numbers.")
            topics[int(slot)] = topic
        return topics

    def dead_letters(self) -> str | None:
        if self.on_bad_record != "dead-letter":
            return None
        return self.dead_letter_topic or f"{self.input_topic}.dead-letters"


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


def _check_address(address: str, workers: int) -> None:
    """HOST:PORT or PORT; worker k of several adds k to the port."""
    port = address.rpartition(":")[2]
    if not port.isdecimal() or int(port) + workers - 1 > 65_535:
        raise SettingsError(
            f"--http {address}: no port from 0 to 65535, with one for each worker. Give HOST:PORT or PORT."
        )


def _check_registry(url: str) -> None:
    """The text does not repeat the URL: it may hold a password."""
    try:
        parts = urllib.parse.urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise SettingsError("--schema-registry is no URL of the form http://[USER:PASSWORD@]HOST:PORT, or https.")
