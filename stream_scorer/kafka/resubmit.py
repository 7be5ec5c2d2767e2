"""Sends dead letters back to where they came from: each once, however often the command is given or breaks off.

Records go in transactions, each with a receipt on a topic beside the dead letters. A letter with a receipt is not sent
again.
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
from stream_scorer.kafka.end_offsets import EndOffsets
from stream_scorer.kafka.errors import REFUSED, classify, persist, raised
from stream_scorer.kafka.reader import read_topic
from stream_scorer.records import Partition

log = logging.getLogger(__name__)

BATCH, BATCH_BYTES = 500, 8 << 20
TRIES = 3
TIMEOUT_S = 30.0
HELD_S = 5.0
"""How long an open transaction on the topic of receipts is waited for."""
RECEIPTS_CONFIG = {"cleanup.policy": "compact"}


def receipt_key(topic_id: str, letter: DeadLetter, target: str) -> bytes:
    """The key of a receipt.

    topic_id: of the dead-letter topic: one that is created anew has other letters at the same places.
    """
    return f"{topic_id}/{letter.place}>{target}".encode()


def read_receipts(reader: Properties, topic: str) -> set[bytes]:
    """The keys of all receipts on a topic of them. Blocks while it reads.

    Raises BrokerError, also if an open transaction hides some of them; Unavailable.
    """
    with EndOffsets(reader) as ends:
        if held := ends.still_held_back(ends.held_back([Partition(topic, 0)]), HELD_S):
            transaction = ends.describe(held, HELD_S)[0]
            raise BrokerError(
                f"the receipts of what was re-submitted before cannot be read, so nothing is sent: {transaction.text()}"
            )
    return {record.key for record in read_topic(reader, topic) if record.key is not None}


@dataclasses.dataclass
class Outcome:
    """What has become of the letters so far.

    sent: records that are on their topic. known: letters that were re-submitted before. refused: a text for each record
    that could not be sent, which begins with the place of its letter. unsure: records of which it is not known whether
    they were sent.
    """

    sent: int = 0
    known: int = 0
    refused: list[str] = dataclasses.field(default_factory=list)
    unsure: int = 0


class Resubmission:
    """Sends records of letters again. At most one runs for a dead-letter topic: a second one ends the first.

    Args:
        properties: of a transactional producer. Its id must be that of the dead-letter topic, so that what an earlier one
            left open is ended, and receipts are certain when they are read.
        receipts: the topic of receipts, which exists.
        topic_id: of the dead-letter topic.
        to: the topic to send to, instead of where a record came from. The key chooses the partition there.
    Raises:
        BrokerError, Fenced, Unavailable: the broker does not open transactions for this user.
    """

    def __init__(self, properties: Properties, receipts: str, topic_id: str, to: str | None = None) -> None:
        self._properties = properties
        self._receipts, self._topic_id, self._to = receipts, topic_id, to
        self.outcome = Outcome()
        self._open()

    def _open(self) -> None:
        self._producer = open_client(
            Producer, self._properties, SILENT
        )  # an abort is nothing to log: the records are sent once more
        _with_retries(self._producer.init_transactions)

    def new(self, letters: Sequence[DeadLetter], reader: Properties) -> list[DeadLetter]:
        """The letters without a receipt. No other resubmission can add a receipt from now on.

        Blocks while it reads. Raises BrokerError, Unavailable.
        """
        receipts = read_receipts(reader, self._receipts)
        new = [
            letter for letter in letters if receipt_key(self._topic_id, letter, self._target(letter)) not in receipts
        ]
        self.outcome.known = len(letters) - len(new)
        return new

    def send(self, letters: Iterable[DeadLetter]) -> None:
        """The records of all letters, each with a receipt. `outcome` says what became of them, also after an error.

        Blocks. Raises BrokerError, Unavailable.
        """
        for batch in _batches(letters):
            self._send(batch)

    def _target(self, letter: DeadLetter) -> str:
        return self._to or letter.facts.get("topic", "")

    def _send(self, letters: list[DeadLetter]) -> None:
        """In one transaction; or in halves, until each refused record stands alone."""
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
                    "another resubmit of the same dead letters has begun, so this one ends. If the other one has ended too, "
                    "give the command once more: what was sent is not sent twice."
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
        """After a transaction that was refused, librdkafka 2.16 sends wrong sequence numbers in the next: use a new producer."""
        self._producer.purge()
        self._open()

    def _transact(self, letters: list[DeadLetter]) -> None:
        """All records with their receipts, or none. Raises Refused, with the culprits if they are known; and as `send`."""
        failed: list[tuple[str, KafkaError]] = []
        culprits: dict[str, str] = {}
        _with_retries(lambda _: self._producer.begin_transaction())
        try:
            for letter in letters:
                try:
                    self._produce(letter, failed)
                except Refused as error:
                    culprits[letter.place] = str(error)
            if culprits:
                raise Refused("some records are refused", culprits)
            try:
                _with_retries(self._producer.commit_transaction)
            except Unavailable:
                self.outcome.unsure = len(letters)
                raise
        except (CommitAborted, BrokerError) as error:
            self._abort()
            if reasons := {place: _refusal(failure) for place, failure in failed if failure.code() in REFUSED}:
                raise Refused(next(iter(reasons.values())), reasons if len(reasons) == 1 else None) from error
            raise

    def _abort(self) -> None:
        try:
            _with_retries(self._producer.abort_transaction)
        except (CommitAborted, BrokerError) as error:  # the next producer with this id ends the transaction
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
            -1 if self._to else letter.original_partition() or 0,
            timestamp=stamp(letter.original_timestamp()),
            headers=[*letter.original_headers(), (RESUBMITTED, back.encode())],
            on_delivery=delivered,
        )
        receipt = json.dumps({"letter": back, "from": letter.source, "to": target}).encode()
        self._queue(self._receipts, receipt, receipt_key(self._topic_id, letter, target), 0)

    def _queue(self, topic: str, value: bytes | None, key: bytes | None, partition: int, **more: object) -> None:
        """Blocks while the queue is full, at most until the transaction has timed out."""
        while True:
            try:
                self._producer.produce(topic, value, key, partition, **more)  # type: ignore[arg-type]
            except BufferError:
                self._wait()
            except KafkaException as error:
                if error.args[0].code() == KafkaError._STATE:  # the transaction has failed: a commit says why
                    _with_retries(self._producer.commit_transaction)
                raise classify(error.args[0]) from error
            else:
                return

    def _wait(self) -> None:
        try:
            self._producer.poll(0.1)
        except (KafkaException, SystemError) as error:
            raise raised(error) from error


def _refusal(error: KafkaError) -> str:
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


def _with_retries(call: Callable[[float], object]) -> None:
    """Blocks for some 30 s at most. Raises TransportError."""
    try:
        persist(call, 5.0, lambda: TIMEOUT_S)
    except KafkaException as error:
        raise classify(error.args[0]) from error
