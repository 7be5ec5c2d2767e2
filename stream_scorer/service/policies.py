"""What a worker does about rejects, failures, and state that does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stream_scorer.errors import ActionError
from stream_scorer.records import Record, Reject
from stream_scorer.scoring.scorer import Scored


@dataclass(frozen=True, slots=True)
class FailurePolicy:
    """What a loop does about rejects and failures.

    fail_on_reject: stop at the first reject, and publish nothing of its batch.
    max_rejects_in_row: stop after so many rejected records in a row; None: never.
    max_failures: stop after so many failures without a commit between them.
    first_pause_s: the pause after a failure, in seconds. It doubles with each further one.
    """

    fail_on_reject: bool = False
    max_rejects_in_row: int | None = None
    max_failures: int = 20
    first_pause_s: float = 0.1

    def check_rejects(self, rejects: Sequence[Reject]) -> None:
        """Before anything of a batch is sent. Raises ActionError."""
        if rejects and self.fail_on_reject:
            raise ActionError(
                f"{rejects[0].source.where}: {rejects[0].message.rstrip('.')}. Nothing of this batch was published. Correct the "
                "record or the model, or let such records pass by --on-bad-record dead-letter."
            )

    def count_rejects(self, in_row: int, records: Sequence[Record], scored: Sequence[Scored]) -> int:
        """After the commit, so that the rejects that stop the service are kept like others. Raises ActionError.

        Returns how many records in a row have been rejected up to the last of `records`. `in_row`: up to the one before.
        """
        if self.max_rejects_in_row is None:
            return 0
        rejected = {reject.source.where for reject in scored if isinstance(reject, Reject)}
        for record in records:
            in_row = in_row + 1 if record.where in rejected else 0
            if in_row >= self.max_rejects_in_row:
                raise ActionError(
                    f"{record.where}: {in_row} records in a row were rejected (--max-rejects-in-row). They are kept as "
                    "--on-bad-record says. Has a producer or its schema changed?"
                )
        return in_row


@dataclass(frozen=True, slots=True)
class RestorePolicy:
    """Where partitions begin, and what is done about state that does not fit.

    start: where a group without a committed offset begins: "committed" (as "earliest"), "earliest", "latest" or a
        timestamp. A partition that was added since the group began is read from its first record.
    window: N of the module's `stream-scorer.window`, or None.
    warm_up: inputs to feed before a start that is no continuation; 0: none. A window of N needs N - 1 for its first score.
    on_mismatch: "auto" (rebuild a window model, else fail), "rebuild", "restart" or "fail".
    on_gap: "fail", "rebuild" (go on at the first record that is left, with sessions from the inputs before it) or
        "continue" (go on there, with sessions as they were saved).
    """

    start: str = "committed"
    window: int | None = None
    warm_up: int = 0
    on_mismatch: str = "auto"
    on_gap: str = "fail"
