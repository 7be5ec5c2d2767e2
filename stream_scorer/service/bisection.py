"""Which record of a batch is refused? The batch is halved until it stands alone."""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Mapping, Sequence

from stream_scorer.errors import BrokerError, PublishError, RecordError, Refused
from stream_scorer.records import Partition, Place, Record, Reject
from stream_scorer.scoring.scorer import Scored

log = logging.getLogger(__name__)

ALL = sys.maxsize
GROWTH = 4
PATIENCE = 3
"""Batches in a row of which culprits are known, each batch others: more of them, and batches become smaller."""
PLAINEST = 2
"""A dead letter refused more often than this is refused in its plainest form."""
MOST_REFUSALS = 1_000
STUMBLES = 2
"""After a transaction that was refused, librdkafka 2.16 sends wrong sequence numbers in the next one, or the
coordinator is still busy with the last: the same batch is sent once more."""


class Hunt:
    """What is known of the records that are refused: by a broker, a topic or the client, not by the model.

    Of a batch that is refused the first half is tried; which partitions it is of does not matter, so it may as well
    be polled again. A record that is refused alone is rejected when it comes again. If its dead letter is refused too,
    it comes once more, and its dead letter is made plainer. So between two commits a batch shrinks, or one of the
    finite number of records at the heads of partitions is blamed: it comes to an end.

    limit: most records of the next batch; ALL where nothing is sought.
    refused: why a record is to be rejected.
    """

    def __init__(self) -> None:
        self.limit = ALL
        self.refused: dict[Place, RecordError] = {}
        self._refusals: dict[Place, int] = {}  # of rejects
        self._scored: Sequence[Scored] = ()
        self._left = 0  # so many of the batch that was refused last are still to come
        self._in_row = 0  # batches refused since one was committed
        self._stumbles = 0

    def mark(self, scored: list[Scored]) -> list[Scored]:
        """What the batch in hand came to, its rejects told how often they were refused."""
        if self._refusals:
            refusals = self._refusals
            scored = [
                one._replace(refusals=refusals.get(one.source.place, 0)) if type(one) is Reject else one
                for one in scored
            ]
        self._scored = scored
        return scored

    def narrow(self, records: Sequence[Record], error: Refused) -> None:
        """The batch was refused, and nothing of it has happened. Raises BrokerError: one is refused in any form."""
        self._in_row += 1
        self._stumbles = STUMBLES
        if self._in_row > MOST_REFUSALS:
            raise BrokerError(f"{self._in_row} batches refused without one commit between them; the last: {error}")
        (log.warning if self._in_row == 1 and self.limit == ALL else log.debug)(
            "%d records refused, one of them is the reason: %s", len(records), error
        )
        culprits = error.culprits
        if not culprits and len(records) == 1:
            culprits = {records[0].place: str(error)}
        if culprits:
            rejected = {one.source.place for one in self._scored if type(one) is Reject}
            blamed = [record for record in records if record.place in culprits]
            for record in blamed:
                self._blame(record, culprits[record.place], record.place in rejected)
        if not culprits or self._in_row > PATIENCE:
            self._left = len(records)
            self.limit = max(1, len(records) // 2)

    def stumbles(self) -> bool:
        """Whether an abort that no record caused may come of the refusal before it."""
        self._stumbles -= 1
        return self._stumbles >= 0

    def _blame(self, record: Record, text: str, rejected: bool) -> None:
        place = record.place
        if not rejected:
            self.refused[place] = PublishError(text)
            return
        self._refusals[place] = self._refusals.get(place, 0) + 1
        if self._refusals[place] > PLAINEST:
            value = record.value or b""
            raise BrokerError(
                f"{record.where}: rejected, and its dead letter is refused in the plainest form there is: {text} The "
                f"record's value has {len(value):,} bytes, sha256 {hashlib.sha256(value).hexdigest()}; nothing of it is "
                "committed. Mend that topic or give another --dead-letter-topic; or let such records go by "
                "--on-bad-record skip."
            )

    def settle(self, records: Sequence[Record]) -> None:
        """The batch is committed."""
        self._in_row = self._stumbles = 0
        self._scored = ()
        if self.refused or self._refusals:
            for record in records:
                self.refused.pop(record.place, None)
                self._refusals.pop(record.place, None)
        if self.limit != ALL:
            self._left = max(0, self._left - len(records))
            self.limit = max(1, self._left // 2) if self._left else min(GROWTH * self.limit, ALL)

    def forget(self) -> None:
        """Everything is read anew: what is refused then will be found again."""
        self.__init__()  # type: ignore[misc]


def before(rest: Sequence[Record], positions: Mapping[Partition, int]) -> Mapping[Partition, int]:
    """Positions where of what was polled `rest` is still to be scored."""
    if not rest:
        return positions
    first = {record.partition: record.offset for record in reversed(rest)}
    return {partition: first.get(partition, offset) for partition, offset in positions.items()}
