"""What operators may know of a running worker, read from other threads. Nothing here calls into the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stream_scorer.evaluate.rolling import RollingFigures
from stream_scorer.ports import Model
from stream_scorer.records import Lag, Partition, SourceStatus
from stream_scorer.service.loop import Loop
from stream_scorer.service.progress import Progress
from stream_scorer.state.sessions import Sessions
from stream_scorer.version import __version__

READY_S = 10.0
"""A step takes longer if a broker does not answer, or if the model hangs."""
LAG_S = 30.0
"""If a broker has not given the end of a partition for so long, nobody knows whether there are records to score."""
HELD_S = 900.0
"""A broker's default for the longest transaction.timeout.ms: a transaction that is open for longer hangs."""


class Status:
    """Figures and state of one worker. Every method is safe from any thread and does not block.

    Args:
        source: of its consumer.
        alive_s: longest step of a loop that does not hang, in seconds.
        live: figures of judged forecasts, if forecasts are judged.
        at_risk: topics, each with which of its records it will delete too early; None: none so far.
        ended_hanging: how many transactions that hung were ended.
    """

    def __init__(
        self,
        model: Model,
        loop: Loop,
        sessions: Sessions,
        source: Callable[[], SourceStatus],
        progress: Progress,
        *,
        alive_s: float,
        live: RollingFigures | None = None,
        at_risk: Callable[[], Mapping[str, str | None]] = dict,
        ended_hanging: Callable[[], int] = lambda: 0,
    ) -> None:
        self.model, self.sha256 = model.name, model.sha256
        self._loop, self._sessions, self._source, self._progress = loop, sessions, source, progress
        self._alive_s = alive_s
        self._live = live
        self.at_risk = at_risk
        self._ended_hanging = ended_hanging

    def lag(self) -> Mapping[Partition, Lag]:
        """Of every assigned partition."""
        return self._source().lag

    def live(self) -> bool:
        """Whether the loop does not hang."""
        return self._loop.idle_s() < self._alive_s

    def ready(self) -> bool:
        """Whether records that come are scored."""
        return self.not_ready() is None

    def not_ready(self) -> str | None:
        """Why records that come are not scored; None if they are.

        A worker without partitions is ready: it takes over those of others.
        """
        source = self._source()
        if self._loop.phase != "running":
            return self._loop.phase
        if not source.connected:
            return "no broker is connected"
        if (seconds := self._loop.idle_s()) >= min(READY_S, self._alive_s):
            return f"the step in hand has taken {seconds:.0f} s"
        if not source.joined:
            return "the group has not given out its partitions yet"
        for partition, lag in source.lag.items():
            if lag.records is None or lag.age_s > LAG_S:
                return f"{partition}: no broker tells where it ends"
            if lag.held_s > HELD_S:
                return (
                    f"{partition}: for {lag.held_s:.0f} s nothing can be read behind a transaction that is open there"
                )
        return None

    def describe(self) -> dict[str, Any]:
        """All of it, as /status shows it."""
        source = self._source()
        return {
            "version": __version__,
            "model": self.model,
            "sha256": self.sha256,
            "phase": self._loop.phase,
            "ready": self.ready(),
            "waiting_for": self._loop.waits_for or source.waits_for,
            "not_ready": self.not_ready(),
            "connected": source.connected,
            "not_connected_because": source.reason,
            **dict(self.counters()),
            **dict(self.gauges()),
            "gaps": dict(self._progress.gaps),
            "restoring": {str(partition): share for partition, share in list(self._progress.under_way.items())},
            "retention_at_risk": {topic: text for topic, text in self.at_risk().items() if text},
            "lag": {str(partition): lag.records for partition, lag in source.lag.items()},
            "held_seconds": {str(partition): round(lag.held_s) for partition, lag in source.lag.items() if lag.held_s},
        }

    def counters(self) -> Iterator[tuple[str, float]]:
        """(name of the Prometheus metric, without prefix and suffix; value)"""
        totals = self._loop.totals
        yield "records", totals.records
        yield "scores", totals.scores
        yield "rejects", totals.rejects
        yield "commits", totals.commits
        yield "aborts", totals.aborts
        yield "recoveries", totals.recoveries
        yield "rebalances", self._source().rebalances
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
        """As `counters`."""
        lags = list(self.lag().values())
        yield "assigned_partitions", len(lags)
        yield "lag_age_seconds", max((lag.age_s for lag in lags), default=0.0)
        yield "sessions", len(self._sessions)
        yield "session_state_bytes", self._sessions.state_bytes()
        yield "restoring_partitions", len(self._progress.under_way)
        yield "restore_progress_ratio", min(list(self._progress.under_way.values()), default=1.0)
        if self._live is not None:
            yield from self._live.gauges()
