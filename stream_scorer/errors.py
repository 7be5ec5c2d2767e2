"""All errors that the program raises on purpose.

StreamScorerError
├── SettingsError      exit 2   a person has to change settings
│   ├── DescriptorError         a stream descriptor is wrong, or does not fit its slot
│   └── StateError              the state of an engine, a model or a service does not allow what was asked
├── ModelError         exit 3   the module, its schemas or its attachment cannot be used
├── RecordError        policy   the cause is one record: never fatal by itself
│   ├── DecodeError             the bytes are not in the codec's encoding
│   ├── SchemaError             a value does not fit its schema
│   ├── ActionError             the model raised an error at this record
│   ├── EncodeError             an output of the model does not fit the output schema
│   └── PublishError            a broker or the client refuses the outputs of this record
└── TransportError     exit 4   a stream cannot be read or written
    ├── BrokerError             Kafka refused, and a retry will not help
    ├── Unavailable             no answer: a retry may help; the request may have been carried out or not
    │   └── Unanswered          no answer from a service that scoring asks, such as a schema registry; streams are unchanged
    ├── CommitAborted           the transaction was aborted; the same step may be retried
    │   └── Refused             because of some record of the step: without it the others may be committed
    ├── Fenced                  this producer can do no more; a new one may
    └── NoSuchStream            no stream of the kind asked for is attached to the slot

`EndOfInput`, `Interrupted` and `GiveUp` are signals, not errors. They stand outside the tree, because
`except StreamScorerError` must not catch a normal end.

An error text says where (topic[partition]@offset or file:line), what was found, the likely cause and what to change.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping
from typing import Any

MAX_TEXT = 8_000
"""Characters kept of an error's text, and of its traceback, so that a dead letter is not too large to send."""
EXIT_DONE, EXIT_NOTHING, EXIT_SETTINGS, EXIT_MODEL, EXIT_BROKER, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 130
"""EXIT_NOTHING: the command ran without an error but without success: not verified, or every record rejected."""


class StreamScorerError(Exception):
    """Root of the tree. `exit_code`: of the command line when it ends with this error."""

    exit_code = 1


class SettingsError(StreamScorerError):
    """A person has to change settings or files."""

    exit_code = EXIT_SETTINGS


class DescriptorError(SettingsError):
    pass


class StateError(SettingsError):
    """What was asked cannot be done now: a model is closed, a service has run, an engine is in another state."""


class ModelError(StreamScorerError):
    """The module, its schemas or its attachment cannot be used, or its state cannot be kept."""

    exit_code = EXIT_MODEL


class RecordError(StreamScorerError):
    """One record cannot be scored. `stage`: the failed step, as named in the dead letter."""

    exit_code = EXIT_MODEL
    stage = "record"


class DecodeError(RecordError):
    """The bytes of the record are not in the encoding."""

    stage = "decode"


class SchemaError(RecordError):
    """The value of the record does not fit its schema."""

    stage = "schema"


class ActionError(RecordError):
    """The model raised an error at the record."""

    stage = "action"


class EncodeError(RecordError):
    """An output of the model does not fit its schema or encoding."""

    stage = "encode"


class PublishError(RecordError):
    """A broker or the client refuses the outputs of the record."""

    stage = "publish"


class TransportError(StreamScorerError):
    """A stream cannot be read or written."""

    exit_code = EXIT_BROKER


class BrokerError(TransportError):
    """Kafka refused, or does not answer, and another try will not help."""


class Unavailable(TransportError):
    pass


class Unanswered(Unavailable):
    pass


class CommitAborted(TransportError):
    pass


class Refused(CommitAborted):
    """culprits: place of each record at fault with the reason; empty if they are not known."""

    def __init__(self, text: str, culprits: Mapping[Any, str] | None = None) -> None:
        super().__init__(text)
        self.culprits = culprits or {}


class Fenced(TransportError):
    pass


class NoSuchStream(TransportError):
    pass


class EndOfInput(Exception):
    """A finite source has returned its last record."""


class Interrupted(Exception):
    """The worker must end: a long operation stops halfway, and its result is not used."""


class GiveUp(BaseException):
    """A signal came while nothing could be asked to stop, or a second signal came. No model can catch it by `Exception`."""


def is_for_the_host(error: BaseException) -> bool:
    """Whether an exception out of a model's code is not the model's error but a request to stop the process.

    KeyboardInterrupt is one if it comes from Python's own handler of SIGINT. If the process has second handler, only the
    model can have raised it.
    """
    return isinstance(error, GiveUp) or (
        isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )


def no_output_text(slot: int, in_use: Iterable[int]) -> str:
    """The error text for a model that writes to `slot`, which is not one of its output slots `in_use`."""
    return (
        f"the model wrote to slot {slot}, which is {'no output' if slot % 2 == 0 else 'not in use'} (outputs in use: "
        f"{', '.join(map(str, sorted(in_use))) or 'none'}). Declare it by '# fastscore.slot.{slot}: in-use' and attach a "
        "stream or topic, or correct the slot in the model."
    )


def text_of(error: BaseException) -> str:
    """The text of any error, about MAX_TEXT characters at most. A model's own exception may raise anything in `str`."""
    try:
        text = str(error)
    except BaseException as second:
        if is_for_the_host(second):
            raise
        return f"(no text: its str() raised {type(second).__name__})"
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}... ({len(text):,} characters)"


def traceback_of(error: BaseException) -> str:
    """The last MAX_TEXT characters of an error's traceback."""
    import traceback  # takes 10 ms, which most commands need not pay

    try:
        if len(str(error)) <= 100 * MAX_TEXT:
            return "".join(traceback.format_exception(error))[-MAX_TEXT:]
    except BaseException as second:
        if is_for_the_host(second):
            raise
    # The error's own text is too long, or raises: build the traceback without it.
    last = f"{type(error).__name__}: {text_of(error)}"
    return ("".join(traceback.format_tb(error.__traceback__)) + last)[-MAX_TEXT:]
