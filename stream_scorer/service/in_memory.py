"""The composition root of a service in memory: `run`'s codecs, sessions, scorer, loop and restore, without broker or thread."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from stream_scorer.errors import EndOfInput
from stream_scorer.model.locate import locate
from stream_scorer.records import CommittedPosition, Origin, Partition, PartitionLog, Record
from stream_scorer.scoring.hosting import HostedModel, absolute_paths, host_model_apart
from stream_scorer.service import scoring
from stream_scorer.service.loop import Loop
from stream_scorer.service.memory import Fault, MemoryInputs, MemoryLog, MemorySink, MemorySource, MemoryStore
from stream_scorer.service.pace import Pace
from stream_scorer.service.progress import Progress
from stream_scorer.service.restore import Restorer
from stream_scorer.service.settings import RunSettings
from stream_scorer.settings.paths import with_absolute_paths
from stream_scorer.state.sessions import Sessions
from stream_scorer.state.snapshots import SnapshotWriter


class MemoryService:
    """One worker, from the restore of its partition to the model's `end`. A context manager.

    Entering it opens the model and restores the state, and blocks while it does; leaving it closes the model. `log` outlives
    it, as a broker would: a second MemoryService on the same log continues where the first one was.

    Args:
        model: path of a module or bundle, or name of a shipped model.
        settings: of `run`. `input_topic` has one partition here; what concerns brokers, processes and logs is not used.
        log: what is committed; filled, also where an error ends the service.
    Raises:
        SettingsError, ModelError: when it is entered.
    """

    hosted: HostedModel
    sessions: Sessions
    begun = False
    """It has been entered, and not been left."""
    ended = False
    """By an error. `sessions` are as they were committed last."""

    def __init__(self, model: str, settings: RunSettings, log: MemoryLog) -> None:
        self._model, self._settings, self._log = model, settings, log
        self.partition = Partition(settings.input_topic, 0)
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opening:
            self._begin(opening)
            self._open = opening.pop_all()
        self.begun, self.ended = True, False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.begun = False
        self._open.__exit__(kind, error, trace)

    def feed(self, items: Iterable[Record | Fault]) -> None:
        """Score records of the partition, in the order of their offsets, until all of them are committed.

        Raises what ends a service: ActionError where the settings say so, ModelError, BrokerError after many failures.
        """
        self._source.add(items)
        self._run()

    def resume(self) -> None:
        """Score the records of the log that were not committed when an earlier service ended. As `feed`."""
        self._source.add_again(self._log.inputs[self._first :])
        self._run()

    def _run(self) -> None:
        with self.hosted.inside(), contextlib.suppress(EndOfInput):
            try:
                while True:
                    self._loop.step()
            except EndOfInput:
                raise
            except BaseException:
                self.ended = True
                self.sessions.roll_back()
                raise

    def _begin(self, opening: contextlib.ExitStack) -> None:
        settings, log = with_absolute_paths(self._settings), self._log
        located = locate(self._model, settings.attachment, settings.trust())
        scoring.check_outputs(located.program, settings)
        self.hosted = hosted = opening.enter_context(host_model_apart(located, absolute_paths(settings.schema)))
        judge = scoring.judge_of(hosted, settings, located, None)
        self.sessions, scorer = scoring.wire(hosted, settings, None, judge)
        origin = Origin("", settings.group or located.module.stem, settings.session)
        kept = self.sessions.stateful and settings.changelog
        restorer = Restorer(
            self.sessions,
            scorer,
            MemoryStore(log) if kept else None,
            MemoryInputs(log),
            model=hosted.identity,
            origin=origin,
            policy=scoring.restore_policy(settings, hosted.module),
            watch=Progress(),
        )
        committed = log.positions.get(self.partition)
        with hosted.inside():
            position = restorer.begin(
                self.partition,
                None if committed is None else CommittedPosition(committed, ""),
                PartitionLog(0, len(log.inputs), ""),
                lambda: None,
            )
        self._first = position.offset
        self._source = MemorySource(log, ())
        writer = SnapshotWriter(hosted.identity, self.sessions.stream_time, lambda _: origin)
        self._loop = Loop(
            self._source,
            scorer,
            self.sessions,
            MemorySink(log, writer if kept else None),
            pace=Pace(settings.batch, max_batch_s=60),
            policy=dataclasses.replace(scoring.failure_policy(settings), first_pause_s=0.001),
        )
