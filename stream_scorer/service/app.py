"""The composition root of `stream-scorer run`. `serve` is a process, and `work` its worker, from settings to the last commit.

`work` opens, in this order: the HTTP server, the schema registry, the model, what talks to Kafka. Two files make the parts:
`scoring.py` those around the model, `wiring.py` those around Kafka. What holds a connection or a thread is given to
`closing`, which closes it in the reverse order, before the model's `end`.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable
from signal import SIGINT, SIGTERM
from typing import TYPE_CHECKING

from stream_scorer.codec.registry import open_registry
from stream_scorer.errors import EXIT_DONE, EXIT_NOTHING
from stream_scorer.model.locate import locate
from stream_scorer.scoring.hosting import opened, opened_apart, paths
from stream_scorer.scoring.progress_lines import all_rejected, summary
from stream_scorer.scoring.totals import Totals
from stream_scorer.service.lifeline import Lifeline
from stream_scorer.service.progress import Show
from stream_scorer.service.scoring import check_outputs, judge_of, wire
from stream_scorer.service.settings import RunSettings
from stream_scorer.settings.paths import with_absolute_paths
from stream_scorer.system.exit import Closing
from stream_scorer.system.signals import stopping

if TYPE_CHECKING:
    from stream_scorer.service.http import HttpControl
    from stream_scorer.service.loop import Loop
    from stream_scorer.service.status import Status

log = logging.getLogger(__name__)
LONGEST_CALL_S = 120.0
"""A call to an unreachable broker ends sooner."""


def serve(model: str, settings: RunSettings, show: Show | None = None, line: Lifeline | None = None) -> int:
    """The worker of a process of its own: runs `work` until a signal comes or `work` returns.

    Blocks. Returns the exit code. Raises what `work` raises.

    Args:
        show: draws, for a person who watches, how far the restore of a partition is.
        line: leads to a supervisor.
    """
    totals: Totals | None = None  # a signal may end the block at any place
    with stopping(by=[SIGTERM] if line else [SIGTERM, SIGINT]) as signals, Closing() as closing:

        def begun(loop: Loop, _: Status) -> None:
            _tame_collector()
            signals.call_on_stop(loop.stop)
            if line:
                line.ready(lambda: loop.stopping or loop.idle_s() < max(settings.longest_step_s(), LONGEST_CALL_S))

        totals = work(model, settings, closing, begun, show)
    if totals and settings.until_end and (text := all_rejected(totals)):
        log.error("%s", text)
        # With several workers, one may have only bad partitions: the scores of the others count.
        return signals.code or (EXIT_DONE if line else EXIT_NOTHING)
    return signals.code


def work(
    model: str,
    settings: RunSettings,
    closing: Closing,
    begun: Callable[[Loop, Status], None],
    show: Show | None = None,
    *,
    apart: bool = False,
) -> Totals:
    """One worker: reads, scores and commits until its loop is stopped or, if asked, until the input ends.

    Leaves signals, logs and the garbage collector of the process alone. Blocks. Raises StreamScorerError.

    Args:
        model: path of a module or bundle, or name of a shipped model.
        closing: closes what is opened here; at the latest before the model's `end` is called.
        begun: called once, before the first record, with the loop and what it tells of itself.
        show: draws how far the restore of a partition is.
        apart: the process is not the model's alone: it is in the model's working directory only while the model works.
    """
    from stream_scorer.service.wiring import KafkaService  # Kafka's library only where there is Kafka

    settings = with_absolute_paths(settings)
    located = locate(model)
    check_outputs(located.module, settings)
    control = _open_http(settings, closing)
    registry = open_registry(settings.schema_registry, settings.registry) if settings.schema_registry else None
    kafka = KafkaService(settings, group=settings.group or located.module.stem, closing=closing)
    kafka.check_topics()
    open_it = opened_apart if apart else opened
    with open_it(located, settings.attachment, paths(settings.schema)) as found:
        judge = judge_of(found, settings, located, registry)
        started = time.perf_counter()
        try:
            wired = wire(found, settings, registry, judge)
            loop = kafka.wire(found, wired, judge, show, registry.check if registry else lambda: None)
            if control:
                control.show(kafka.status)
            begun(loop, kafka.status)
            totals = loop.run()
        finally:
            closing.close()  # before the model's `end`, which may take its time: others wait for the partitions
        log.info("stopped: %s", summary(totals, time.perf_counter() - started))
    return totals


def _open_http(settings: RunSettings, closing: Closing) -> HttpControl | None:
    """First of all: a port that is taken ends the command before the model loads, and operators see that it loads."""
    if not settings.http:
        return None
    from stream_scorer.service.http import HttpControl  # an HTTP server only where one is wanted

    control = HttpControl(settings.http_address())
    closing.add("the HTTP server", control.close)
    return control


def _tame_collector() -> None:
    """Exclude the objects loaded so far from garbage collection: with TensorFlow a million, and they stay.

    Collections become rare: a batch makes thousands of objects, none of them in a cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
