"""A jet: one model in a process of its own, as the engine sees it.

Over 300 lines: both ends of a call to the process, and each way in which that process may end.
"""

from __future__ import annotations

import hashlib
import logging
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from stream_scorer.errors import ModelError
from stream_scorer.modelop.process import snapshot as snapshots
from stream_scorer.modelop.process.frames import Frame, pack, unpack_outputs
from stream_scorer.modelop.process.jet_folder import JetFolder
from stream_scorer.modelop.process.jet_process import JetProcess
from stream_scorer.modelop.process.limits import Limits
from stream_scorer.modelop.process.package import ModelPackage
from stream_scorer.modelop.process.results import CallResult, Failure, ModelFailed, shown_input
from stream_scorer.modelop.process.shared import SharedState
from stream_scorer.modelop.streams.codec_spec import CodecSpec
from stream_scorer.records import Batch

log = logging.getLogger(__name__)

Write = Callable[[CallResult], None]
_NO_LIMITS = Limits()
_STACK_S = 1.0
"""How long a process may take to write its stack after its call has exceeded the limit."""


class Jet:
    """`start`, then `feed` (or `run_explicit`), then `end`; `close` always.

    One call at a time, from any thread; `close` at any time. Every call blocks until the model has returned.

    Args:
        codecs: of every slot in use.
        on_console: called with what the model prints, from a thread of its own.
        snapshot: the result of another jet's `snapshot`, to start from.
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
        self._snapshot = snapshot
        self._folder: JetFolder | None = None
        self._process: JetProcess | None = None
        self._closing = threading.Lock()
        self._closed = False
        self._abandoned = False  # a call was interrupted, so the process may still be in it
        self.explicit = package.annotations.explicit
        self.failure: Failure | None = None  # why `start` has failed, if the model's code was the reason
        self.busy = False  # whether a call is under way

    @property
    def pid(self) -> int:
        """Process id; 0 before the start."""
        return self._process.pid if self._process else 0

    @property
    def sandbox(self) -> str:
        """Path of the model's directory; empty before the start."""
        return str(self._folder.sandbox) if self._folder else ""

    def start(self, wait_for_others: Callable[[], None] = lambda: None) -> None:
        """Make the sandbox, start the process, run the module body, restore the snapshot, call `begin`.

        Of an explicit model nothing runs before `run_explicit`. `wait_for_others` is called after the body: it blocks
        until the bodies of other starting jets have returned, too.

        Raises ModelError; `failure` has the traceback if the model's code has failed.
        """
        saved = snapshots.read(self._snapshot) if self._snapshot is not None else None
        if self._snapshot is not None:
            snapshots.check_model(self._snapshot, self._package.name)
        self.busy = True
        try:
            self._make_process()
            self._begin(saved, wait_for_others)
        except ModelFailed as error:
            self.failure = error.failure
            self.close()
            raise
        except BaseException:
            self.close()
            raise
        finally:
            self.busy = False

    def _make_process(self) -> None:
        """Raises ModelError: an attachment cannot be unpacked, or `close` was called meanwhile."""
        folder = JetFolder(self._package, lambda: self._closed)  # may take long
        with self._closing:
            self._folder = folder
            if self._closed:  # nobody would end a process that is started now
                folder.remove()
                raise ModelError(f"{self._package.name}: the jet was closed before it had started.")
            self._process = JetProcess(self._shared, self._on_console, str(folder.path))

    def _begin(self, saved: snapshots.ModelSnapshot | None, wait_for_others: Callable[[], None]) -> None:
        assert self._folder is not None
        if saved and self.explicit:
            self._restore_shared(saved)
        load = {
            "do": "load",
            "module": str(self._folder.module),
            "sandbox": str(self._folder.sandbox),
            "codecs": {slot: spec.to_json() for slot, spec in self._codecs.items()},
            "limits": asdict(self._limits),
        }
        self._ask_to_start({"do": "ready"}, "its process", limited=False)
        self._ask_to_start(load, "the module body")
        if self.explicit:
            return
        wait_for_others()
        if saved:
            # After the body, whose values it replaces; before begin(), which looks at whether values are set.
            self._restore_shared(saved)
            self._ask_to_start({"do": "restore", "names": saved.names}, "restoring a snapshot", saved.state)
        definition = {
            "name": self._package.name,
            "type": self._package.mtype,
            "attachments": [name for name, _ in self._package.attachments],
        }
        self._ask_to_start({"do": "begin", "definition": definition}, "begin()")

    def _restore_shared(self, saved: snapshots.ModelSnapshot) -> None:
        try:
            self._shared.restore(saved.shared)
        except ValueError as error:
            raise ModelError(f"snapshot: its cells and pools cannot be read ({error}).") from error

    def feed(self, batch: Batch, write: Write | None = None) -> CallResult:
        """Give the model one batch. If the model fails, exits or exceeds its limit, the result has a `failure`.

        Args:
            write: takes outputs of a call that takes long, or has many, before it has returned. May block, and the model
                waits. None: all outputs are in the result.

        Raises ModelError: the jet is not running. Raises what `write` raises.
        """
        parts = _Parts(write)
        if self._process:
            self._process.begin_call()
        answer = self._ask(_batch_head(batch, "feed"), pack(batch.records), self._limits.call_s, parts.serve)
        if isinstance(answer, str):
            return parts.with_last(CallResult(failure=self._exit_failure("action()", answer, batch)))
        return parts.with_last(_result_of(answer))

    def run_explicit(self, read: Callable[[int], Batch | None], write: Write) -> CallResult:
        """Run the module body of an explicit model. Raises what `read` and `write` raise, and ModelError.

        Args:
            read: returns the next batch of an input slot, None at the end of its stream. May block.
            write: takes outputs and rejects since its last call; the last of them are returned. May block.
        """
        last: list[Batch] = []

        def serve(request: Frame) -> None:
            assert self._process is not None
            if request.head["do"] == "write":
                write(_result_of(request))
                return
            batch = read(request.head["slot"])
            if batch is None:
                self._process.send({"at_end": True})
            else:
                last[:] = [batch]
                self._process.send(_batch_head(batch, "batch"), pack(batch.records))

        answer = self._ask({"do": "run"}, b"", self._limits.call_s, serve)
        if isinstance(answer, str):
            return CallResult(failure=self._exit_failure("the module body", answer, last[0] if last else None))
        return _result_of(answer)

    def end(self, write: Write | None = None) -> CallResult:
        """Call the model's `end`. `write` as that of `feed`. Raises ModelError: the jet is not running."""
        parts = _Parts(write)
        answer = self._ask({"do": "end"}, b"", self._limits.call_s, parts.serve)
        if isinstance(answer, str):
            return parts.with_last(CallResult(failure=self._exit_failure("end()", answer, None)))
        return parts.with_last(_result_of(answer))

    def snapshot(self) -> bytes:
        """Return the model's state globals, cells and pools as ASCII text. Raises ModelError."""
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
        """End the process, by a kill after `timeout_s` or if a call is under way, and remove its directory.

        Safe from any thread; may be called again. A `start` that is under way ends soon, and starts no process any more.
        """
        with self._closing:
            if self._closed:
                return
            self._closed = True
            if self._process is not None:
                if self.busy or self._abandoned:
                    self._process.kill()
                else:
                    self._process.leave(timeout_s)
                self._process.close()
            if self._folder is not None:
                self._folder.remove()

    def _ask(
        self,
        head: dict[str, Any],
        body: bytes,
        limit_s: float | None,
        serve: Callable[[Frame], None] | None = None,
    ) -> Frame | str:
        """Return the answer, or how the process has exited. `serve` takes frames before it that are not log lines."""
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
                kind = frame.head.get("do")
                if kind == "answer":
                    if head["do"] != "feed" or frame.head.get("failure"):
                        process.wait_for_console()
                    return frame
                if kind == "log":
                    log.log(int(frame.head.get("level", logging.INFO)), "%s", frame.head.get("text"))
                elif serve is not None:
                    serve(frame)
        except BaseException:
            self._abandoned = True
            raise
        finally:
            self.busy = False

    def _receive(self, process: JetProcess, limit_s: float | None) -> Frame | str:
        """Wait as long as the model finishes each record within the limit."""
        while True:
            record = process.record_in_hand
            try:
                return process.control.receive(limit_s)
            except EOFError:
                return process.exit_text()
            except ValueError as error:
                process.kill()
                return (
                    f"{process.exit_text()}\nit wrote to the engine what is not a message ({error}): a model must not write "
                    "to descriptors that it has not opened"
                )
            except TimeoutError:
                if process.record_in_hand != record:
                    continue
                process.dump_stack()
                exited = process.exit_text(_STACK_S)
                return f"{exited}\nit had not come back within {limit_s:g} s, the limit of a call"

    def _ask_to_start(self, head: dict[str, Any], where: str, body: bytes = b"", *, limited: bool = True) -> None:
        answer = self._ask(head, body, self._limits.start_s if limited else None)
        if isinstance(answer, str):
            failure = Failure(where, answer, None)
            raise ModelFailed(f"{self._package.name}: {where}: {failure.reason}", failure)
        _raise_error(answer)

    def _exit_failure(self, where: str, exit_text: str, batch: Batch | None) -> Failure:
        shown = None
        if batch is not None:
            spec = self._codecs.get(batch.slot)
            number = self._process.record_in_hand if self._process else 0
            # The record that the model worked on; all records of a record set.
            records = batch.records[number - 1 : number] if number and not self._is_set(batch.slot) else batch.records
            seqno = batch.first + (number - 1 if records is not batch.records else 0)
            shown = shown_input(batch.slot, seqno, records, len(batch.records), spec.encoding if spec else None)
        return Failure(where, exit_text, shown)

    def _is_set(self, slot: int) -> bool:
        return self.explicit or slot in self._package.annotations.recordsets


class _Parts:
    """Outputs of a call before it has returned."""

    def __init__(self, write: Write | None) -> None:
        self._write = write
        self._kept: list[tuple[int, bytes]] = []

    def serve(self, frame: Frame) -> None:
        part = _result_of(frame)
        if self._write is None:
            self._kept += part.outputs
        else:
            self._write(part)

    def with_last(self, result: CallResult) -> CallResult:
        """Return the result of the call, with the parts before it that nobody took."""
        result.outputs[:0] = self._kept
        return result


def _result_of(answer: Frame) -> CallResult:
    _raise_error(answer)
    try:
        return CallResult.from_json(answer.head, unpack_outputs(answer.body))
    except (ValueError, TypeError, KeyError, AttributeError, struct.error, MemoryError) as error:
        raise ModelError(
            f"the model's process answered what is not a result ({type(error).__name__}: {error}): a model must not write to "
            "descriptors that it has not opened."
        ) from error


def _batch_head(batch: Batch, kind: str) -> dict[str, Any]:
    return {"do": kind, "slot": batch.slot, "first": batch.first, "closed_by": batch.closed_by}


def _raise_error(answer: Frame) -> None:
    if text := answer.head.get("error"):
        failure = Failure.from_json(answer.head.get("failure"))
        raise ModelFailed(text, failure) if failure else ModelError(text)
