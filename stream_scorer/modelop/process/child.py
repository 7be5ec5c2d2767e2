"""The process of a jet, started by `process.jet`: python -m stream_scorer.modelop.process.child CONTROL SHARED LIFE PROGRESS

Answers one request at a time on descriptor CONTROL. Descriptors 1 and 2 are the model's console.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import mmap
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from stream_scorer.errors import ModelError
from stream_scorer.model.program import read_program
from stream_scorer.modelop.process import descendants, fastscore, snapshot
from stream_scorer.modelop.process.explicit_slots import Slots, slot_class
from stream_scorer.modelop.process.frames import Channel, Frame, pack_outputs, unpack
from stream_scorer.modelop.process.limits import Limits
from stream_scorer.modelop.process.parts import Parts
from stream_scorer.modelop.process.results import CallResult, ModelFailed
from stream_scorer.modelop.process.runner import Runner
from stream_scorer.modelop.process.shared import SharedClient
from stream_scorer.modelop.streams.codec_spec import CodecSpec
from stream_scorer.records import Batch, Control


class Child:
    """Answers the requests of the engine's `Jet`. One thread."""

    def __init__(self, control: Channel, shared: SharedClient, progress: Any) -> None:
        self._control = control
        self._shared = shared
        self._progress = progress
        self._stack = contextlib.ExitStack()
        self._parts = Parts(control, progress)
        self._forked = False
        self._runner: Runner
        self._slots: Slots

    def serve(self) -> None:
        """Answer requests until one says to leave. Raises EOFError: the engine is gone."""
        handlers = {
            "ready": lambda _: self._answer({}),
            "load": self._load,
            "restore": self._restore,
            "begin": self._begin,
            "feed": self._feed,
            "run": self._run,
            "end": self._end,
            "snapshot": self._snapshot,
        }
        while True:
            request = self._control.receive()
            if request.head["do"] == "leave":
                return
            try:
                self._parts.call_begins()
                handlers[request.head["do"]](request)
            except ModelFailed as error:
                self._answer({"error": str(error), "failure": error.failure._asdict()})
            except ModelError as error:
                self._answer({"error": str(error)})

    def _load(self, request: Frame) -> None:
        head = request.head
        Limits(**head["limits"]).apply()
        program = read_program(Path(head["module"]))
        specs = {int(slot): CodecSpec.from_json(spec) for slot, spec in head["codecs"].items()}
        codecs = {slot: spec.make() for slot, spec in specs.items()}
        encodings = {slot: spec.encoding for slot, spec in specs.items()}
        runner = self._runner = Runner(program, codecs, encodings, self._progress)
        os.chdir(head["sandbox"])
        sys.path.insert(0, head["sandbox"])
        self._slots = Slots(runner, self._read, self._write)
        explicit = program.annotations.explicit
        self._stack.enter_context(
            fastscore.importable(self._shared, slot_class(self._slots) if explicit else None),
        )
        if not explicit:
            self._parts.of(runner.outputs)  # an explicit model sends each output when it writes it
            runner.load()
        self._answer({})

    def _restore(self, request: Frame) -> None:
        left_out = snapshot.put_back(self._runner.namespace, self._runner.state_names(), request)
        self._answer({"left_out": left_out})

    def _begin(self, request: Frame) -> None:
        self._runner.begin(request.head["definition"])
        self._answer({})

    def _feed(self, request: Frame) -> None:
        self._answer_result(self._runner.feed(_batch_of(request)))

    def _run(self, _: Frame) -> None:
        self._answer_result(self._runner.run(self._slots.last_input))

    def _end(self, _: Frame) -> None:
        self._answer_result(self._runner.end())

    def _snapshot(self, _: Frame) -> None:
        runner = self._runner
        names, state, left_out = snapshot.savable(runner.namespace, runner.state_names())
        self._answer({"names": names, "left_out": left_out}, state)

    def _read(self, slot: int) -> Batch | None:
        _flush_console()
        self._control.send({"do": "read", "slot": slot})
        request = self._control.receive()
        return None if request.head.get("at_end") else _batch_of(request)

    def _write(self, result: CallResult) -> None:
        self._control.send({"do": "write", **result.to_json()}, pack_outputs(result.outputs))

    def _answer_result(self, result: CallResult) -> None:
        self._answer(result.to_json(), pack_outputs(result.outputs))

    def _answer(self, head: dict[str, Any], body: bytes = b"") -> None:
        _flush_console()
        if self._forked:
            os._exit(0)  # a process that the model has forked, and that came back to us: only the jet itself answers
        with self._parts.last():
            self._control.send({"do": "answer", **head}, body)

    def forked(self) -> None:
        """Called in a process that the model has forked: it must not answer in the name of the jet."""
        self._forked = True
        self._control.close()


def _batch_of(request: Frame) -> Batch:
    head, closed_by = request.head, request.head.get("closed_by")
    return Batch(head["slot"], head["first"], unpack(request.body), Control(closed_by) if closed_by else None)


def _flush_console() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError, AttributeError):  # the model may have replaced them
            stream.flush()


class _EngineLogHandler(logging.Handler):
    """Sends our own log lines to the engine's log: they do not belong on the model's console."""

    def __init__(self, control: Channel) -> None:
        super().__init__()
        self._control = control

    def emit(self, record: logging.LogRecord) -> None:
        self._control.send({"do": "log", "level": record.levelno, "text": record.getMessage()})


def _exit_with_engine(life: int) -> None:
    """Kill all processes of this jet when the engine is gone, so that nothing the model has started is left behind."""

    def wait() -> None:
        with contextlib.suppress(OSError):
            os.read(life, 1)
        _kill_all()

    threading.Thread(target=wait, name="life", daemon=True).start()


def _kill_all() -> None:
    descendants.kill(os.environ)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    control, shared, life, progress = map(int, sys.argv[1:])
    for descriptor in (control, shared, life, progress):
        os.set_inheritable(descriptor, False)  # a program that the model starts has no use for them
    sys.argv[1:] = []
    faulthandler.enable(all_threads=False)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    _exit_with_engine(life)
    # Ctrl-C does not reach this process group. A handler that does nothing, as programs that the model starts would
    # inherit an ignored signal.
    signal.signal(signal.SIGINT, lambda *_: None)
    channel = Channel(socket.socket(fileno=control))
    ours = logging.getLogger("stream_scorer")
    ours.addHandler(_EngineLogHandler(channel))
    ours.propagate = False
    ours.setLevel(logging.INFO)
    logging.getLogger().setLevel(logging.INFO)  # so that `logging.info` of a model reaches its console
    try:
        counter = memoryview(mmap.mmap(progress, 8)).cast("q")
        child = Child(channel, SharedClient(socket.socket(fileno=shared)), counter)
        os.register_at_fork(after_in_child=child.forked)
        child.serve()
    except (EOFError, BrokenPipeError):
        _kill_all()  # the engine is gone; the thread that waits for that may come too late
    _flush_console()
    # Do not wait for threads that the model has left running, nor for exit handlers of libraries.
    os._exit(0)


if __name__ == "__main__":
    main()
