"""What an operator may know of a running worker, read from other threads; nothing here calls into the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stream_scorer import __version__
from stream_scorer.engine.loop import Loop
from stream_scorer.engine.progress import Progress
from stream_scorer.evaluate.live import Live
from stream_scorer.records import Partition
from stream_scorer.state.sessions import Sessions

READY_S = 10.0
"""A step takes longer when a broker does not answer, or the model hangs."""


class Status:
    """Args: the parts that count. `lag` and `rebalances` are cheap calls into the source's local view.

    `live` has figures of judged forecasts, if they are judged. `at_risk`: topics, each with what it will not keep.
    """

    def __init__(
        self,
        model: str,
        sha256: str,
        loop: Loop,
        sessions: Sessions,
        lag: Callable[[], Mapping[Partition, int]],
        rebalances: Callable[[], int],
        progress: Progress,
        alive_s: float,
        connected: Callable[[], bool] = lambda: True,
        reason: Callable[[], str | None] = lambda: None,
        live: Live | None = None,
        at_risk: Callable[[], Mapping[str, str | None]] = dict,
        ended_hanging: Callable[[], int] = lambda: 0,
    ) -> None:
        self.model, self.sha256 = model, sha256
        self._loop, self._sessions = loop, sessions
        self._lag, self._rebalances = lag, rebalances
        self._progress = progress
        self._alive_s = alive_s
        self._connected, self._reason = connected, reason
        self._live = live
        self.at_risk = at_risk
        self._ended_hanging = ended_hanging

    def live(self) -> bool:
        """Whether the loop has gone round lately."""
        return self._loop.idle_s() < self._alive_s

    def ready(self) -> bool:
        """Whether it scores: not while it waits for a broker, restores, or has been long in one step."""
        return self._loop.phase == "running" and self._connected() and self._loop.idle_s() < READY_S and self.live()

    def describe(self) -> dict[str, Any]:
        return {
            "version": __version__,
            "model": self.model,
            "sha256": self.sha256,
            "phase": self._loop.phase,
            "ready": self.ready(),
            "connected": self._connected(),
            "not_connected_because": self._reason(),
            **dict(self.counters()),
            **dict(self.gauges()),
            "gaps": dict(self._progress.gaps),
            "restoring": {str(partition): share for partition, share in list(self._progress.under_way.items())},
            "retention_at_risk": {topic: text for topic, text in self.at_risk().items() if text},
            "lag": {str(partition): records for partition, records in self._lag().items()},
        }

    def lag(self) -> Mapping[Partition, int]:
        return self._lag()

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
        yield "sessions", len(self._sessions)
        yield "session_state_bytes", self._sessions.bytes_at_rest()
        yield "restoring_partitions", len(self._progress.under_way)
        yield "restore_progress_ratio", min(list(self._progress.under_way.values()), default=1.0)
        if self._live is not None:
            yield from self._live.gauges()
