"""One model in one process, as the engine sees it."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from stream_scorer.errors import ModelError
from stream_scorer.modelop.process import snapshot as snapshots
from stream_scorer.modelop.process.frames import Frame, pack, unpack_outputs
from stream_scorer.modelop.process.home import Home
from stream_scorer.modelop.process.limits import Limits
from stream_scorer.modelop.process.package import ModelPackage
from stream_scorer.modelop.process.process import JetProcess
from stream_scorer.modelop.process.results import Failure, Fed, ModelFailed, shown_input
from stream_scorer.modelop.process.shared import SharedState
from stream_scorer.modelop.streams.coding import CodecSpec
from stream_scorer.records import Batch

log = logging.getLogger(__name__)

_NO_LIMITS = Limits()
_LAST_WORDS_S = 1.0


class Jet:
    """`start`, then `feed` (or `run_explicit`), then `end`; `close` always. One call at a time, `close` any time.

    Args:
        codecs: of every slot in use.
        on_console: gets what the model prints; from a thread of its own.
        snapshot: what another jet's `snapshot` gave.
    """

    def __init__(
        self,
        package: ModelPackage,
        codecs: Mapping[int, CodecSpec],
        *,
        shared: SharedState,
        on_console: Callable[[str], None],
        snapshot: bytes | None = None,
        limits: Limits = _NO_LIMITS,
    ) -> None:
        self._package, self._codecs, self._shared = package, codecs, shared
        self._on_console, self._limits = on_console, limits
        self._blob = snapshot
        self._home: Home | None = None
        self._process: JetProcess | None = None
        self._closing = threading.Lock()
        self._closed = False
        self._amidst = False  # in a call that nobody waits for any more
        self.explicit = package.program().annotations.explicit
        self.failure: Failure | None = None
        """Why `start` has failed."""
        self.busy = False

    @property
    def pid(self) -> int:
        """0 before the start."""
        return self._process.pid if self._process else 0

    @property
    def sandbox(self) -> str:
        """Path of the model's directory; empty before the start."""
        return str(self._home.sandbox) if self._home else ""

    def start(self, meet: Callable[[], None] = lambda: None) -> None:
        """Process, sandbox, module body, snapshot, `begin`; the body of an explicit model waits for `run_explicit`.

        `meet` is called after the body: it waits until the bodies of other jets that start are done, too.

        Raises ModelError; `failure` has the traceback where the model's code has failed.
        """
        kept = snapshots.read(self._blob) if self._blob is not None else None
        if kept and kept.model != self._package.name:
            raise ModelError(
                f"snapshot: it is of model {kept.model!r}, and {self._package.name!r} is loaded. Restore another one."
            )
        self.busy = True
        try:
            self._home = Home(self._package)
            self._process = JetProcess(self._shared, self._on_console, str(self._home.path))
            self._begin(kept, meet)
        except ModelFailed as error:
            self.failure = error.failure
            self.close()
            raise
        except BaseException:
            self.close()
            raise
        finally:
            self.busy = False

    def _begin(self, kept: snapshots.ModelSnapshot | None, meet: Callable[[], None]) -> None:
        assert self._home is not None
        if kept and self.explicit:
            self._restore_shared(kept)
        load = {
            "do": "load",
            "module": str(self._home.module),
            "sandbox": str(self._home.sandbox),
            "codecs": {slot: spec.to_json() for slot, spec in self._codecs.items()},
            "limits": asdict(self._limits),
        }
        self._ask_to_start({"do": "ready"}, "its process", limited=False)
        self._ask_to_start(load, "the module body")
        if self.explicit:
            return
        meet()
        if kept:
            # After the body, so that what it sets does not count; before begin(), which looks at what is there.
            self._restore_shared(kept)
            self._ask_to_start({"do": "restore", "names": kept.names}, "restoring a snapshot", kept.state)
        definition = {
            "name": self._package.name,
            "type": self._package.mtype,
            "attachments": [name for name, _ in self._package.attachments],
        }
        self._ask_to_start({"do": "begin", "definition": definition}, "begin()")

    def _restore_shared(self, kept: snapshots.ModelSnapshot) -> None:
        try:
            self._shared.restore(kept.shared)
        except ValueError as error:
            raise ModelError(f"snapshot: its cells and pools cannot be read ({error}).") from error

    def feed(self, batch: Batch) -> Fed:
        """One batch of one slot, or one record set. A model that has failed, ended or hung is a `failure`. Blocks."""
        if self._process:
            self._process.begin_call()
        answer = self._ask(_batch_head(batch, "feed"), pack(batch.records), self._limits.call_s)
        if isinstance(answer, str):
            return Fed(failure=self._died("action()", answer, batch))
        return _fed(answer)

    def run_explicit(self, read: Callable[[int], Batch | None], write: Callable[[Fed], None]) -> Fed:
        """The module body of an explicit model, to its end; what `read` and `write` raise is raised.

        Args:
            read: the next batch of an input slot; None at its end. May block.
            write: takes what has come of it since the last time; the rest is in what is returned.
        """
        last: list[Batch] = []

        def serve(asked: Frame) -> None:
            assert self._process is not None
            if asked.head["do"] == "write":
                write(_fed(asked))
                return
            batch = read(asked.head["slot"])
            if batch is None:
                self._process.send({"ended": True})
            else:
                last[:] = [batch]
                self._process.send(_batch_head(batch, "batch"), pack(batch.records))

        answer = self._ask({"do": "run"}, b"", self._limits.call_s, serve)
        if isinstance(answer, str):
            return Fed(failure=self._died("the module body", answer, last[0] if last else None))
        return _fed(answer)

    def end(self) -> Fed:
        """The model's `end()`."""
        answer = self._ask({"do": "end"}, b"", self._limits.call_s)
        if isinstance(answer, str):
            return Fed(failure=self._died("end()", answer, None))
        return _fed(answer)

    def snapshot(self) -> bytes:
        """ASCII text: the model's state globals, cells and pools. Raises ModelError."""
        answer = self._ask({"do": "snapshot"}, b"", self._limits.call_s)
        if isinstance(answer, str):
            raise ModelError(f"{self._package.name}: no snapshot can be taken: {answer.splitlines()[-1]}.")
        _raise_error(answer)
        if answer.head["left_out"]:
            log.warning(
                "snapshot of %s: without %s, whose types cannot be kept",
                self._package.name,
                ", ".join(answer.head["left_out"]),
            )
        sha256 = hashlib.sha256(self._package.source).hexdigest()
        names = tuple(answer.head["names"])
        return snapshots.write(
            snapshots.ModelSnapshot(self._package.name, sha256, self._shared.dump(), names, answer.body)
        )

    def close(self, timeout_s: float = 5) -> None:
        """The process ends, is killed if it has not within `timeout_s`; its directory goes. Safe from any thread."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            if self._process is not None:
                if self.busy or self._amidst:
                    self._process.kill()
                else:
                    self._process.leave(timeout_s)
                self._process.close()
            if self._home is not None:
                self._home.remove()

    def _ask(
        self,
        head: dict[str, Any],
        body: bytes,
        limit_s: float | None,
        serve: Callable[[Frame], None] | None = None,
    ) -> Frame | str:
        """The answer, or in words how the process has ended instead. Within the call other frames may come."""
        process = self._process
        if process is None or self._closed:
            raise ModelError(f"{self._package.name}: the jet is not running.")
        self.busy = True
        try:
            process.send(head, body)
            while True:
                frame = self._receive(process, limit_s)
                if isinstance(frame, str):
                    return frame
                what = frame.head["do"]
                if what == "answer":
                    if head["do"] != "feed" or frame.head.get("failure"):
                        process.hear_out()
                    return frame
                if what == "log":
                    log.log(frame.head["level"], "%s", frame.head["text"])
                elif serve is not None:
                    serve(frame)
        except BaseException:
            self._amidst = True
            raise
        finally:
            self.busy = False

    def _receive(self, process: JetProcess, limit_s: float | None) -> Frame | str:
        """Waits on as long as records go by, each within the limit."""
        while True:
            at = process.record_in_hand
            try:
                return process.control.receive(limit_s)
            except EOFError:
                return process.how_it_ended()
            except TimeoutError:
                if process.record_in_hand != at:
                    continue
                process.show_where()
                told = process.how_it_ended(_LAST_WORDS_S)
                return f"{told}\nit had not come back within {limit_s:g} s, the limit of a call"

    def _ask_to_start(self, head: dict[str, Any], where: str, body: bytes = b"", *, limited: bool = True) -> None:
        answer = self._ask(head, body, self._limits.start_s if limited else None)
        if isinstance(answer, str):
            failure = Failure(where, answer, None)
            raise ModelFailed(f"{self._package.name}: {where}: {failure.reason}", failure)
        _raise_error(answer)

    def _died(self, where: str, told: str, batch: Batch | None) -> Failure:
        shown = None
        if batch is not None:
            spec = self._codecs.get(batch.slot)
            at = self._process.record_in_hand if self._process else 0
            # Of a batch the record it had in hand; of a set all, as its first one stands for it.
            records = batch.records[at - 1 : at] if at and not self._is_set(batch.slot) else batch.records
            seqno = batch.first + (at - 1 if records is not batch.records else 0)
            shown = shown_input(batch.slot, seqno, records, len(batch.records), spec.encoding if spec else None)
        return Failure(where, told, shown)

    def _is_set(self, slot: int) -> bool:
        return self.explicit or slot in self._package.program().annotations.recordsets


def _fed(answer: Frame) -> Fed:
    _raise_error(answer)
    return Fed.read(answer.head, unpack_outputs(answer.body))


def _batch_head(batch: Batch, what: str) -> dict[str, Any]:
    return {"do": what, "slot": batch.slot, "first": batch.first, "closed_by": batch.closed_by}


def _raise_error(answer: Frame) -> None:
    if text := answer.head.get("error"):
        failure = Failure.read(answer.head.get("failure"))
        raise ModelFailed(text, failure) if failure else ModelError(text)
