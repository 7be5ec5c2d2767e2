"""Everything the program raises on purpose.

StreamScorerError
├── SettingsError      exit 2   a human edits settings
│   ├── DescriptorError         a stream descriptor is wrong, or does not go with its slot
│   └── StateError              the engine is not in a state for what was asked
├── ModelError         exit 3   the module, its schemas or its attachment cannot be used
├── RecordError        policy   one record is at fault: never fatal by itself
│   ├── DecodeError             bytes are not what the codec expects
│   ├── SchemaError             a value does not fit its schema
│   ├── ActionError             the model raised on this record
│   ├── EncodeError             what the model gave does not fit the output schema
│   └── PublishError            a broker, a topic or our client refuses what came of the record
└── TransportError     exit 4   a stream cannot be read or written
    ├── BrokerError             Kafka said no, and waiting will not help
    ├── Unavailable             nobody answered: waiting may help, what was asked may have happened or not
    │   └── Unanswered          nothing of a stream: what scoring asks for, as a schema. Streams are as they were
    ├── CommitAborted           the transaction is gone, the same step may be tried again
    │   └── Refused             some record of the step is the reason: without it the others may be committed
    ├── Fenced                  this producer is finished, a new one may go on
    └── NoSuchStream            no stream of the kind that was asked for is attached at the slot

`EndOfInput`, `Interrupted` and `GiveUp` are signals, not errors, and stand outside the tree: `except StreamScorerError`
must not swallow a normal finish.

A text says where (topic[partition]@offset or file:line), what was found, the likely cause and what
to change.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping
from typing import Any

MOST_TEXT = 8_000
"""Characters kept of an error's text, and of its traceback: a dead letter must not be too large to send."""
EXIT_DONE, EXIT_NOTHING, EXIT_SETTINGS, EXIT_MODEL, EXIT_BROKER, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 130
"""EXIT_NOTHING: all went its way, and nothing came of it: not verified, or every record rejected."""


class StreamScorerError(Exception):
    """Root of the tree; `exit_code` is what the command line ends with."""

    exit_code = 1


class SettingsError(StreamScorerError):
    exit_code = EXIT_SETTINGS


class DescriptorError(SettingsError):
    pass


class StateError(SettingsError):
    pass


class ModelError(StreamScorerError):
    exit_code = EXIT_MODEL


class RecordError(StreamScorerError):
    """One record cannot be scored. `stage` names the step, as the dead letter tells it."""

    exit_code = EXIT_MODEL
    stage = "record"


class DecodeError(RecordError):
    stage = "decode"


class SchemaError(RecordError):
    stage = "schema"


class ActionError(RecordError):
    stage = "action"


class EncodeError(RecordError):
    stage = "encode"


class PublishError(RecordError):
    stage = "publish"


class TransportError(StreamScorerError):
    exit_code = EXIT_BROKER


class BrokerError(TransportError):
    pass


class Unavailable(TransportError):
    pass


class Unanswered(Unavailable):
    pass


class CommitAborted(TransportError):
    pass


class Refused(CommitAborted):
    """`culprits`: the places of the records at fault, with the reason of each, where they are known; else empty."""

    def __init__(self, text: str, culprits: Mapping[Any, str] | None = None) -> None:
        super().__init__(text)
        self.culprits = culprits or {}


class Fenced(TransportError):
    pass


class NoSuchStream(TransportError):
    pass


class EndOfInput(Exception):
    """A finite source has given its last record."""


class Interrupted(Exception):
    """The worker is to end: what takes long is given up halfway, and nothing of it is used."""


class GiveUp(BaseException):
    """A signal came while nothing could be asked to stop, or a second one came. It passes through models."""


def is_for_the_host(error: BaseException) -> bool:
    """Whether what came out of a model's code is no error of the model: somebody wants the whole process to stop.

    Ctrl-C is, unless the process has a handler of its own for it: then only the model itself can have raised that.
    """
    return isinstance(error, GiveUp) or (
        isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )


def no_output(slot: int, in_use: Iterable[int]) -> str:
    """The text of the error if a model writes to a slot that is not an output of it. `in_use`: its output slots."""
    return (
        f"the model wrote to slot {slot}, which is {'no output' if slot % 2 == 0 else 'not in use'} (outputs in use: "
        f"{', '.join(map(str, sorted(in_use))) or 'none'}). Declare it by '# fastscore.slot.{slot}: in-use' and attach a "
        "stream or topic, or correct the slot in the model."
    )


def text_of(error: BaseException) -> str:
    """The text of any error, at most MOST_TEXT characters; of a model's own class `str` may raise anything."""
    try:
        text = str(error)
    except BaseException as another:
        if is_for_the_host(another):
            raise
        return f"(no text: its str() raised {type(another).__name__})"
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}... ({len(text):,} characters)"


def traceback_of(error: BaseException) -> str:
    """The end of its traceback, at most MOST_TEXT characters."""
    import traceback  # 10 ms, which most commands need not pay

    try:
        if len(str(error)) <= 100 * MOST_TEXT:
            return "".join(traceback.format_exception(error))[-MOST_TEXT:]
    except BaseException as another:
        if is_for_the_host(another):
            raise
    # Without what the error says of itself.
    last = f"{type(error).__name__}: {text_of(error)}"
    return ("".join(traceback.format_tb(error.__traceback__)) + last)[-MOST_TEXT:]
