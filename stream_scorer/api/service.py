"""The Kafka service inside the caller's process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream_scorer.api.settings import OF_A_PROCESS, Setting, run_settings
from stream_scorer.errors import StateError
from stream_scorer.model.locate import absolute
from stream_scorer.scoring.hosting import in_a_model
from stream_scorer.service.app import work
from stream_scorer.system.exit import Closing

if TYPE_CHECKING:
    from stream_scorer.scoring.totals import Totals
    from stream_scorer.service.loop import Loop
    from stream_scorer.service.status import Status


class Service:
    """`stream-scorer run` with one worker, in a thread of the caller.

    Nothing happens before `run`, which is called once. Signals, logging and the garbage collector of the process stay the
    caller's: call `stop` from your own signal handler, and configure the loggers "stream_scorer" and "librdkafka". The
    process goes into a working directory of the model's own for each call into it, and comes back: other threads must not
    depend on the working directory meanwhile. Models of one process, in whichever threads, work one after another.

    Args:
        model: path of a module or bundle, or name of a shipped model.
        bootstrap_servers, input_topic, output_topic, group, settings: as the flags of `stream-scorer run`, with
            underscores (docs/configuration.md); `workers`, `log_level` and `log_format` are not taken. Variables of the
            environment are not looked at.
        config: TOML file of settings, for those that are not given. Relative paths, those of the file too, lead from the
            working directory of now.
    Raises:
        SettingsError: a setting is unknown, illegal or contradicts another one. No socket was opened.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        bootstrap_servers: str | None = None,
        input_topic: str | None = None,
        output_topic: str | None = None,
        group: str | None = None,
        config: str | Path | None = None,
        **settings: Setting,
    ) -> None:
        named: dict[str, Setting] = {
            "bootstrap_servers": bootstrap_servers,
            "input_topic": input_topic,
            "output_topic": output_topic,
            "group": group,
        }
        with in_a_model:
            self._model = absolute(str(model))
            self._settings = run_settings({**settings, **named}, config=config, without=OF_A_PROCESS)
        self._lock = threading.Lock()
        self._began = self._stopped = False
        self._loop: Loop | None = None
        self._status: Status | None = None

    def run(self) -> Totals:
        """Score until `stop` is called or, with `until_end=True`, until the input has been read to its end.

        Blocks the calling thread, which may be any. What was not committed when it returns or raises comes again to the
        next service of the group. If a broker does not answer, its clients may take some 30 s to close.

        Returns what it has done: `records`, `scores`, `rejects`, `commits` and more.

        Raises:
            StreamScorerError: as `stream-scorer run` ends with: ModelError, BrokerError, ActionError, ...
            StateError: it was run before.
        """
        with self._lock:
            if self._began:
                raise StateError("a Service runs once: make another one to go on where this one has ended.")
            self._began = True
        with Closing(ends_process=False) as closing:
            return work(self._model, self._settings, closing, self._begun, apart=True)

    def stop(self) -> None:
        """Let `run` finish the batch in hand and return; a model that is still loading is loaded first.

        Returns at once. From any thread and from signal handlers, any number of times, before `run` too.
        """
        self._stopped = True
        if self._loop is not None:
            self._loop.stop()

    def status(self) -> dict[str, Any]:
        """What /status of `--http` says; {} until the model is loaded. From any thread."""
        return {} if self._status is None else self._status.describe()

    def _begun(self, loop: Loop, status: Status) -> None:
        self._loop, self._status = loop, status
        if self._stopped:
            loop.stop()
