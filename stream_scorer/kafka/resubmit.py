"""Dead letters back to where they came from: each once, however often that is asked for, whatever breaks off halfway.

Records go in transactions, with a note of each on a topic beside the dead letters. What has a note is not sent again.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stream_scorer.errors import BrokerError, CommitAborted, Fenced, Refused, Unavailable
from stream_scorer.kafka.client_log import SILENT
from stream_scorer.kafka.clients import Properties, open_client
from stream_scorer.kafka.config import stamp
from stream_scorer.kafka.dead_letters import RESUBMITTED, DeadLetter
from stream_scorer.kafka.end_offsets import Ends
from stream_scorer.kafka.errors import REFUSED, classify, persist
from stream_scorer.kafka.reader import read_topic
from stream_scorer.records import Partition

log = logging.getLogger(__name__)

BATCH, BATCH_BYTES = 500, 8 << 20
TRIES = 3
TIMEOUT_S = 30.0
NOTES_CONFIG = {"cleanup.policy": "compact"}


def notes_topic(topic: str) -> str:
    """Where it is kept which letters of a dead-letter topic were re-submitted."""
    return f"{topic}.resubmitted"


def note_key(topic_id: str, letter: DeadLetter, target: str) -> bytes:
    """`topic_id`: a dead-letter topic that is created anew has other letters at the same places."""
    return f"{topic_id}/{letter.place}>{target}".encode()


def read_notes(reader: Properties, notes: str) -> set[bytes]:
    """The keys of all notes. Raises BrokerError, also where an open transaction hides some; Unavailable."""
    with Ends(reader) as ends:
        if hidden := ends.standing(ends.lagging([Partition(notes, 0)]), 5.0):
            raise BrokerError(
                f"what was re-submitted before cannot be read now, so that nothing is sent: {ends.whose(hidden, 5.0)[0].text()}"
            )
    return {record.key for record in read_topic(reader, notes) if record.key is not None}


@dataclasses.dataclass
class Outcome:
    """What became of letters, up to now.

    sent: their records are on their topic. known: they were re-submitted before. refused: texts that begin with the
    place of a letter whose record could not be sent. unsure: whether this many were sent, nobody knows.
    """

    sent: int = 0
    known: int = 0
    refused: list[str] = dataclasses.field(default_factory=list)
    unsure: int = 0


class Resubmission:
    """Sends records of letters again. One at a time for a dead-letter topic: another one ends this one.

    Args:
        properties: of a transactional producer; its id must be that of the dead-letter topic, so that what an earlier one
            left open is ended, and notes are certain when they are read.
        notes: the topic of notes, which is there.
        topic_id: of the dead-letter topic.
        to: the topic to send to, instead of where a record came from. The key chooses the partition there.
    Raises:
        BrokerError, Fenced, Unavailable: the broker does not let us open transactions.
    """

    def __init__(self, properties: Properties, notes: str, topic_id: str, to: str | None = None) -> None:
        self._properties = properties
        self._notes, self._topic_id, self._to = notes, topic_id, to
        self.outcome = Outcome()
        self._open()

    def _open(self) -> None:
        self._producer = open_client(Producer, self._properties, SILENT)  # an abort is an ordinary step
        _patiently(self._producer.init_transactions)

    def new(self, letters: Sequence[DeadLetter], reader: Properties) -> list[DeadLetter]:
        """Those without a note. No other resubmission can add a note from now on. Raises BrokerError, Unavailable."""
        notes = read_notes(reader, self._notes)
        found = [one for one in letters if note_key(self._topic_id, one, self._target(one)) not in notes]
        self.outcome.known = len(letters) - len(found)
        return found

    def send(self, letters: Iterable[DeadLetter]) -> None:
        """All of them, each with a note. `outcome` tells what became of each, also after an error.

        Raises BrokerError, Unavailable.
        """
        for batch in _batches(letters):
            self._send(batch)

    def _target(self, letter: DeadLetter) -> str:
        return self._to or letter.told.get("topic", "")

    def _send(self, letters: list[DeadLetter]) -> None:
        """In one transaction, or in halves until those that are refused stand alone."""
        for left in reversed(range(TRIES)):
            try:
                self._transact(letters)
            except Refused as error:
                self._reopen()
                self._send_without(letters, error)
                return
            except CommitAborted as error:
                if not left:
                    raise BrokerError(f"a transaction was aborted {TRIES} times; the last: {error}") from error
                self._reopen()
            except Fenced as error:
                raise BrokerError(
                    "another resubmit of the same dead letters has begun, so this one ends. If that is ended too, give the "
                    "command once more: what was sent is not sent twice."
                ) from error
            else:
                self.outcome.sent += len(letters)
                return

    def _send_without(self, letters: list[DeadLetter], error: Refused) -> None:
        culprits = dict(error.culprits) or ({letters[0].place: str(error)} if len(letters) == 1 else {})
        self.outcome.refused += [f"{place}: {text}" for place, text in culprits.items()]
        rest = [letter for letter in letters if letter.place not in culprits]
        middle = len(rest) if culprits else (len(rest) + 1) // 2
        for part in (rest[:middle], rest[middle:]):
            if part:
                self._send(part)

    def _reopen(self) -> None:
        """A transaction after one that was refused has wrong sequence numbers in librdkafka 2.16: a new producer has not."""
        self._producer.purge()
        self._open()

    def _transact(self, letters: list[DeadLetter]) -> None:
        """All of them and their notes, or none. Raises Refused with the culprits where they are known, and as `send`."""
        failed: list[tuple[str, KafkaError]] = []
        culprits: dict[str, str] = {}
        _patiently(lambda _: self._producer.begin_transaction())
        try:
            for letter in letters:
                try:
                    self._produce(letter, failed)
                except Refused as error:
                    culprits[letter.place] = str(error)
            if culprits:
                raise Refused("some records are refused", culprits)
            try:
                _patiently(self._producer.commit_transaction)
            except Unavailable:
                self.outcome.unsure = len(letters)
                raise
        except (CommitAborted, BrokerError) as error:
            self._abort()
            if reasons := {place: _why(one) for place, one in failed if one.code() in REFUSED}:
                raise Refused(next(iter(reasons.values())), reasons if len(reasons) == 1 else None) from error
            raise

    def _abort(self) -> None:
        try:
            _patiently(self._producer.abort_transaction)
        except (CommitAborted, BrokerError) as error:  # the next producer ends it
            log.debug("not aborted: %s", error)

    def _produce(self, letter: DeadLetter, failed: list[tuple[str, KafkaError]]) -> None:
        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failed.append((letter.place, error))

        record, target = letter.record, self._target(letter)
        back = f"{record.partition.topic}/{record.partition.number}/{record.offset}"
        self._queue(
            target,
            record.value,
            letter.original_key(),
            -1 if self._to else int(letter.told["partition"]),
            timestamp=stamp(letter.original_timestamp()),
            headers=[*letter.original_headers(), (RESUBMITTED, back.encode())],
            on_delivery=delivered,
        )
        note = json.dumps({"letter": back, "from": letter.source, "to": target}).encode()
        self._queue(self._notes, note, note_key(self._topic_id, letter, target), 0)

    def _queue(self, topic: str, value: bytes | None, key: bytes | None, partition: int, **more: object) -> None:
        """Waits while the queue is full, at most until the transaction has timed out."""
        while True:
            try:
                self._producer.produce(topic, value, key, partition, **more)  # type: ignore[arg-type]
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                if error.args[0].code() == KafkaError._STATE:  # the transaction has failed: a commit says why
                    _patiently(self._producer.commit_transaction)
                raise classify(error.args[0]) from error
            else:
                return


def _why(error: KafkaError) -> str:
    return f"{error.str()} ({error.name()}). {REFUSED[error.code()]}"


def _batches(letters: Iterable[DeadLetter]) -> Iterator[list[DeadLetter]]:
    batch: list[DeadLetter] = []
    size = 0
    for letter in letters:
        batch.append(letter)
        size += len(letter.record.value or b"") + len(letter.record.key or b"")
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _patiently(call: Callable[[float], object]) -> None:
    """Blocks for some 30 s at most. Raises TransportError."""
    try:
        persist(call, 5.0, lambda: TIMEOUT_S)
    except KafkaException as error:
        raise classify(error.args[0]) from error
