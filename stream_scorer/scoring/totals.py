"""Counts of one worker."""

from __future__ import annotations


class Totals:
    """What one worker has done since it started: counts of what was committed, and the time it took.

    `scores` counts outputs. `recoveries` counts clients that were opened anew, `aborts` transactions that were aborted.
    """

    def __init__(self) -> None:
        self.records = self.scores = self.rejects = self.commits = self.aborts = self.recoveries = 0
        self.scoring_s = self.commit_s = 0.0
        self.first_reject = ""
        """`Reject.line` of the first reject."""

    def add(self, records: int, outcomes: int, rejects: int, scoring_s: float, commit_s: float) -> None:
        """Count one committed step. `outcomes`: its scores and rejects together."""
        self.commits += 1
        self.records += records
        self.scores += outcomes - rejects
        self.rejects += rejects
        self.scoring_s += scoring_s
        self.commit_s += commit_s
