"""The composition root of `stream-scorer run`: `serve` runs a process, and `work` a worker in it.

`work` opens, in this order: the HTTP server, the schema registry, the admin client that checks the topics, the model, and
the Kafka clients with the loop. Two files make the parts: `scoring.py` those around the model, `wiring.py` those around
Kafka. What holds a connection or a thread is added to `closing`, which closes it in the reverse order. The model's `end` is
called last.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable
from signal import SIGINT, SIGTERM
from typing import TYPE_CHECKING

from stream_scorer.codec.registry import Registry, open_registry
from stream_scorer.errors import EXIT_DONE, EXIT_NOTHING
from stream_scorer.model.locate import locate
from stream_scorer.scoring.hosting import absolute_paths, host_model, host_model_apart
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
    """Run a worker in this process until a signal comes or the input ends. Handles signals and tunes garbage collection.

    Blocks. Returns the exit code; closes all that it opened. Raises what `work` raises.

    Args:
        model: path of a module or bundle, or name of a shipped model.
        show: draws how far the restore of a partition is, for a person at a terminal.
        line: the connection to the supervisor that started this process; None: there is none.
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


# 45 lines: the order in which a worker opens its parts, read in one place.
def work(
    model: str,
    settings: RunSettings,
    closing: Closing,
    begun: Callable[[Loop, Status], None],
    show: Show | None = None,
    *,
    apart: bool = False,
) -> Totals:
    """Run one worker: read, score and commit until its loop is stopped or, with `until_end`, until the input ends.

    Blocks. Returns the totals of the run. It does not touch signals, logging or the garbage collector of the process.
    Raises StreamScorerError: the settings, the model or the cluster cannot be used, or the run fails.

    Args:
        model, show: as in `serve`.
        closing: gets all that is opened here. It is closed at the latest before the model's `end` is called.
        begun: called once before the first record, with the loop, which it may stop from any thread, and its status.
        apart: the process is not the model's alone: it is in the model's working directory only while the model works.
    """
    from stream_scorer.service.wiring import KafkaService  # Kafka's library only where there is Kafka

    settings = with_absolute_paths(settings)
    located = locate(model, settings.attachment, settings.trust())
    check_outputs(located.program, settings)
    control = _open_http(settings, closing)
    registry = _open_registry(settings, closing)
    kafka = KafkaService(settings, group=settings.group or located.module.stem, closing=closing)
    with kafka.explaining():
        kafka.check_topics()
    host = host_model_apart if apart else host_model
    with kafka.explaining(), host(located, absolute_paths(settings.schema)) as hosted:
        judge = judge_of(hosted, settings, located, registry)
        started = time.perf_counter()
        try:
            wired = wire(hosted, settings, registry, judge)
            loop = kafka.wire(hosted, wired, judge, show, registry.check if registry else lambda: None)
            if control:
                control.show(kafka.status)
            begun(loop, kafka.status)
            totals = loop.run()
        finally:
            closing.close()  # before the model's `end`, which may take its time: others wait for the partitions
        log.info("stopped: %s", summary(totals, time.perf_counter() - started))
    return totals


def _open_http(settings: RunSettings, closing: Closing) -> HttpControl | None:
    """Open the HTTP server if the settings ask for it, before the model loads.

    A port in use then ends the command at once, and GET /status shows the phase "loading".
    """
    if not settings.http:
        return None
    from stream_scorer.service.http import HttpControl  # an HTTP server only where one is wanted

    control = HttpControl(settings.http_address())
    closing.add("the HTTP server", control.close)
    return control


def _open_registry(settings: RunSettings, closing: Closing) -> Registry | None:
    if not settings.schema_registry:
        return None
    registry = open_registry(settings.schema_registry, settings.registry)
    closing.add("the schema registry", registry.close)
    return registry


def _tame_collector() -> None:
    """Exclude the objects loaded so far from garbage collection: with TensorFlow a million, and they stay.

    Collections become rare: a batch makes thousands of objects, none of them in a cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
