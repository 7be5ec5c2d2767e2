"""Which record of a refused batch is the reason? The batch is halved until that record stands alone."""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Mapping, Sequence

from stream_scorer.errors import BrokerError, PublishError, RecordError, Refused
from stream_scorer.records import Partition, Place, Record, Reject
from stream_scorer.scoring.scorer import Scored

log = logging.getLogger(__name__)

NO_LIMIT = sys.maxsize
GROWTH = 4
CULPRIT_BATCHES = 3
"""After so many refused batches in a row, batches become smaller even if the culprits of each are known."""
PLAINEST = 2
"""A dead letter that is refused more often than this was refused in its plainest form."""
MAX_REFUSED_BATCHES = 1_000
EXPECTED_ABORTS = 2
"""After a transaction that was refused, librdkafka 2.16 sends wrong sequence numbers in the next one, or the
coordinator is still busy with the last. The same batch is sent once more each time."""


class Bisection:
    """What is known of the records that are refused: by a broker, a topic or the client, not by the model.

    The first half of a refused batch is tried. It may as well be polled again: which partitions its records are of does
    not matter. A record that is refused alone is rejected when it comes again. If its dead letter is refused too,
    the record comes once more, and its dead letter is made plainer. So between two commits a batch shrinks, or one of the
    finite number of records at the heads of partitions is blamed: the search ends.

    limit: most records of the next batch; NO_LIMIT while no record is sought.
    refused: the records that are to be rejected, with the reason.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Records are read anew: those that are refused will be found again."""
        self.limit = NO_LIMIT
        self.refused: dict[Place, RecordError] = {}
        self._refusals: dict[Place, int] = {}  # of the dead letter of each record
        self._scored: Sequence[Scored] = ()
        self._left = 0  # records of the last refused batch that are still to come
        self._refused_in_row = 0
        self._expected_aborts = 0

    def with_refusals(self, scored: list[Scored]) -> list[Scored]:
        """The results of the batch in hand, each reject with how often its dead letter was refused."""
        if self._refusals:
            refusals = self._refusals
            scored = [
                result._replace(refusals=refusals.get(result.source.place, 0)) if type(result) is Reject else result
                for result in scored
            ]
        self._scored = scored
        return scored

    def narrow(self, records: Sequence[Record], error: Refused) -> None:
        """A batch was refused and undone. Raises BrokerError: a dead letter is refused in any form, or batch after batch."""
        self._refused_in_row += 1
        self._expected_aborts = EXPECTED_ABORTS
        if self._refused_in_row > MAX_REFUSED_BATCHES:
            raise BrokerError(
                f"{self._refused_in_row} batches refused without one commit between them; the last: {error}"
            )
        (log.warning if self._refused_in_row == 1 and self.limit == NO_LIMIT else log.debug)(
            "%d records refused, one of them is the reason: %s", len(records), error
        )
        culprits = error.culprits
        if not culprits and len(records) == 1:
            culprits = {records[0].place: str(error)}
        if culprits:
            rejected = {result.source.place for result in self._scored if type(result) is Reject}
            for record in records:
                if record.place in culprits:
                    self._blame(record, culprits[record.place], record.place in rejected)
        if not culprits or self._refused_in_row > CULPRIT_BATCHES:
            self._left = len(records)
            self.limit = max(1, len(records) // 2)

    def expects_abort(self) -> bool:
        """Whether an abort that no record caused may be a consequence of the refusal before it."""
        self._expected_aborts -= 1
        return self._expected_aborts >= 0

    def _blame(self, record: Record, reason: str, rejected: bool) -> None:
        """`rejected`: it was the record's dead letter that was refused."""
        place = record.place
        if not rejected:
            self.refused[place] = PublishError(reason)
            return
        self._refusals[place] = self._refusals.get(place, 0) + 1
        if self._refusals[place] > PLAINEST:
            value = record.value or b""
            raise BrokerError(
                f"{record.where}: rejected, and its dead letter is refused in the plainest form there is: {reason} The "
                f"record's value has {len(value):,} bytes, sha256 {hashlib.sha256(value).hexdigest()}; nothing of it is "
                "committed. Correct that topic's settings or give another --dead-letter-topic; or let such records go by "
                "--on-bad-record skip."
            )

    def settle(self, records: Sequence[Record]) -> None:
        """The batch is committed."""
        self._refused_in_row = self._expected_aborts = 0
        self._scored = ()
        if self.refused or self._refusals:
            for record in records:
                self.refused.pop(record.place, None)
                self._refusals.pop(record.place, None)
        if self.limit != NO_LIMIT:
            self._left = max(0, self._left - len(records))
            self.limit = max(1, self._left // 2) if self._left else min(GROWTH * self.limit, NO_LIMIT)


def positions_before(rest: Sequence[Record], positions: Mapping[Partition, int]) -> Mapping[Partition, int]:
    """The positions to commit while `rest`, of what was polled, is still to be scored."""
    if not rest:
        return positions
    first = {record.partition: record.offset for record in reversed(rest)}
    return {partition: first.get(partition, offset) for partition, offset in positions.items()}
