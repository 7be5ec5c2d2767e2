"""Records that could not be scored, as they lie on their topic, and the way back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from confluent_kafka import KafkaException, Producer

from stream_scorer.errors import BrokerError, SettingsError
from stream_scorer.records import Headers, Record
from stream_scorer.transports.kafka_config import Properties, open_client, stamp
from stream_scorer.transports.kafka_reader import read_topic

OURS = ("__streams.errors.", "__scorer.")
RESUBMITTED = "__scorer.resubmitted"
TIMEOUT_S = 30.0


class DeadLetter(NamedTuple):
    """One record of a dead-letter topic. `told`: what our headers say, by name without prefix."""

    record: Record
    told: dict[str, str]

    @property
    def place(self) -> str:
        """PARTITION@OFFSET on the dead-letter topic."""
        return f"{self.record.partition.number}@{self.record.offset}"

    @property
    def source(self) -> str:
        """Where it came from, as topic[partition]@offset."""
        told = self.told
        return f"{told.get('topic', '?')}[{told.get('partition', '?')}]@{told.get('offset', '?')}"

    @property
    def incomplete(self) -> str | None:
        """What of the record did not fit into the letter, as text; None if nothing."""
        told, parts = self.told, []
        for what, length in (("value", len(self.record.value or b"")), ("key", len(self.record.key or b""))):
            if f"{what}.length" in told:
                parts.append(f"its {what} is incomplete ({length:,} of {told[f'{what}.length']} bytes)")
        if "headers.dropped" in told:
            parts.append(f"{told['headers.dropped']} of its headers are missing")
        if "headers.unreadable" in told:
            parts.append("its headers could not be read")
        return ", ".join(parts) or None

    def original_key(self) -> bytes | None:
        return None if "key.null" in self.told else self.record.key

    def original_timestamp(self) -> int | None:
        """In ms since 1970."""
        told = self.told.get("timestamp")
        return self.record.timestamp if told is None else int(told)

    def original_headers(self) -> Headers:
        return [header for header in self.record.headers or [] if not header[0].startswith(OURS)]


def read_dead_letters(properties: Properties, topic: str) -> Iterator[DeadLetter]:
    """All there are now. Raises BrokerError, Unavailable."""
    for record in read_topic(properties, topic):
        yield DeadLetter(record, told_by(record.headers))


def told_by(headers: Headers | None) -> dict[str, str]:
    """What headers of ours say, whoever wrote them: no value is an empty text, and what is no UTF-8 is replaced."""
    told = {}
    for name, value in headers or []:
        if name.startswith(OURS):
            text = value.decode(errors="replace") if isinstance(value, bytes) else value or ""
            told[name.removeprefix(OURS[0]).removeprefix(OURS[1])] = text
    return told


def chosen(letters: Iterable[DeadLetter], places: Iterable[str]) -> list[DeadLetter]:
    """Those at the given PARTITION@OFFSET places. Raises SettingsError on one that is not there."""
    found = {letter.place: letter for letter in letters}
    missing = [place for place in places if place not in found]
    if missing:
        raise SettingsError(
            f"no dead letter at {', '.join(missing)}: `stream-scorer dead-letters list` tells what is there."
        )
    return [found[place] for place in places]


def resubmit(properties: Properties, letters: Iterable[DeadLetter], to: str | None) -> int:
    """Send records again to where they came from, or to topic `to`, all together or none; how many.

    Key, value, timestamp and the input's own headers are as they were, the partition too unless `to`
    is given; one header more tells which dead letter it was.

    Args:
        properties: of a transactional producer.
    Raises:
        SettingsError: some of a record is not in its letter. Nothing was sent, as in all that follow.
        BrokerError
    """
    letters = list(letters)
    if lacking := [f"{letter.place}: {why} of {letter.source}" for letter in letters if (why := letter.incomplete)]:
        raise SettingsError(
            f"nothing was re-submitted: {'; '.join(lacking)}. The whole record is where it came from, while that topic "
            "keeps it. Leave these out."
        )
    producer = open_client(Producer, properties)
    count = 0
    try:
        producer.init_transactions(TIMEOUT_S)
        producer.begin_transaction()
        for letter in letters:
            record = letter.record
            back = f"{record.partition.topic}/{record.partition.number}/{record.offset}".encode()
            producer.produce(
                to or letter.told["topic"],
                record.value,
                letter.original_key(),
                -1 if to else int(letter.told["partition"]),
                timestamp=stamp(letter.original_timestamp()),
                headers=[*letter.original_headers(), (RESUBMITTED, back)],
            )
            count += 1
        producer.commit_transaction(TIMEOUT_S)
    except KafkaException as error:
        raise BrokerError(
            f"nothing was re-submitted: {error.args[0].str()}. Is the topic there, may you write to it?"
        ) from error
    except KeyError as error:
        raise BrokerError(
            f"nothing was re-submitted: a record without header {OURS[0]}{error.args[0]}; say where by --to TOPIC"
        ) from error
    return count
