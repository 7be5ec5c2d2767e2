"""What an operator may know of a running worker, read from other threads; nothing here calls into the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stream_scorer import __version__
from stream_scorer.evaluate.live import Live
from stream_scorer.records import Lag, Partition
from stream_scorer.service.loop import Loop
from stream_scorer.service.progress import Progress
from stream_scorer.state.sessions import Sessions

READY_S = 10.0
"""A step takes longer when a broker does not answer, or the model hangs."""
LAG_S = 30.0
"""Once the end of a partition has not been told for so long, nobody knows whether there are records to score."""
HELD_S = 900.0
"""A broker's default for the longest transaction.timeout.ms: a transaction that is open for longer hangs."""


class Status:
    """Args: the parts that count. `lag` (of every assigned partition), `rebalances` and `joined` (whether the group has
    given out its partitions) are cheap calls into the source's local view.

    `live` has figures of judged forecasts, if they are judged. `at_risk`: topics, each with what it will not keep.
    `waits_for`: what holds the service back, in words.
    """

    def __init__(
        self,
        model: str,
        sha256: str,
        loop: Loop,
        sessions: Sessions,
        lag: Callable[[], Mapping[Partition, Lag]],
        rebalances: Callable[[], int],
        progress: Progress,
        alive_s: float,
        connected: Callable[[], bool] = lambda: True,
        reason: Callable[[], str | None] = lambda: None,
        live: Live | None = None,
        at_risk: Callable[[], Mapping[str, str | None]] = dict,
        ended_hanging: Callable[[], int] = lambda: 0,
        waits_for: Callable[[], str] = str,
        joined: Callable[[], bool] = lambda: True,
    ) -> None:
        self.model, self.sha256 = model, sha256
        self._loop, self._sessions = loop, sessions
        self.lag, self._rebalances = lag, rebalances
        self._joined = joined
        self._progress = progress
        self._alive_s = alive_s
        self._connected, self._reason = connected, reason
        self._live = live
        self.at_risk = at_risk
        self._ended_hanging = ended_hanging
        self._waits_for = waits_for

    def live(self) -> bool:
        """Whether the loop has gone round lately."""
        return self._loop.idle_s() < self._alive_s

    def ready(self) -> bool:
        """Whether it scores what comes."""
        return self.not_ready() is None

    def not_ready(self) -> str | None:
        """Why it does not score what comes; None if it does.

        A worker that has no partitions is ready: it is there for those of others.
        """
        if self._loop.phase != "running":
            return self._loop.phase
        if not self._connected():
            return "no broker is connected"
        if (seconds := self._loop.idle_s()) >= min(READY_S, self._alive_s):
            return f"the step in hand has taken {seconds:.0f} s"
        if not self._joined():
            return "the group has not given out its partitions yet"
        for partition, lag in self.lag().items():
            if lag.records is None or lag.age_s > LAG_S:
                return f"{partition}: no broker tells where it ends"
            if lag.held_s > HELD_S:
                return (
                    f"{partition}: for {lag.held_s:.0f} s nothing can be read behind a transaction that is open there"
                )
        return None

    def describe(self) -> dict[str, Any]:
        return {
            "version": __version__,
            "model": self.model,
            "sha256": self.sha256,
            "phase": self._loop.phase,
            "ready": self.ready(),
            "waiting_for": self._waits_for(),
            "not_ready": self.not_ready(),
            "connected": self._connected(),
            "not_connected_because": self._reason(),
            **dict(self.counters()),
            **dict(self.gauges()),
            "gaps": dict(self._progress.gaps),
            "restoring": {str(partition): share for partition, share in list(self._progress.under_way.items())},
            "retention_at_risk": {topic: text for topic, text in self.at_risk().items() if text},
            "lag": {str(partition): lag.records for partition, lag in self.lag().items()},
            "held_seconds": {str(partition): round(lag.held_s) for partition, lag in self.lag().items() if lag.held_s},
        }

    def counters(self) -> Iterator[tuple[str, float]]:
        """Name (of the Prometheus metric, without prefix and suffix) and value."""
        totals = self._loop.totals
        yield "records", totals.records
        yield "scores", totals.scores
        yield "rejects", totals.rejects
        yield "commits", totals.commits
        yield "aborts", totals.aborts
        yield "recoveries", totals.recoveries
        yield "rebalances", self._rebalances()
        yield "hanging_transactions_ended", self._ended_hanging()
        yield "restored_sessions", self._progress.restored_sessions
        yield "restore_seconds", self._progress.restore_s
        yield "gaps", sum(self._progress.gaps.values())
        yield "gap_lost_records", self._progress.lost_records
        yield "scoring_seconds", totals.scoring_s
        yield "commit_seconds", totals.commit_s
        if self._live is not None:
            yield from self._live.counters()

    def gauges(self) -> Iterator[tuple[str, float]]:
        lags = list(self.lag().values())
        yield "assigned_partitions", len(lags)
        yield "lag_age_seconds", max((lag.age_s for lag in lags), default=0.0)
        yield "sessions", len(self._sessions)
        yield "session_state_bytes", self._sessions.state_bytes()
        yield "restoring_partitions", len(self._progress.under_way)
        yield "restore_progress_ratio", min(list(self._progress.under_way.values()), default=1.0)
        if self._live is not None:
            yield from self._live.gauges()
