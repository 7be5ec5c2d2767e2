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
│   └── EncodeError             what the model gave does not fit the output schema
└── TransportError     exit 4   a stream cannot be read or written
    ├── BrokerError             Kafka said no, and waiting will not help
    ├── Unavailable             nobody answered: waiting may help, what was asked may have happened or not
    ├── CommitAborted           the transaction is gone, the same step may be tried again
    ├── Fenced                  this producer is finished, a new one may go on
    └── NoSuchStream            no stream of the kind that was asked for is attached at the slot

`EndOfInput`, `Interrupted` and `GiveUp` are signals, not errors, and stand outside the tree: `except StreamScorerError`
must not swallow a normal finish.

A text says where (topic[partition]@offset or file:line), what was found, the likely cause and what
to change.
"""

from __future__ import annotations

EXIT_DONE, EXIT_SETTINGS, EXIT_MODEL, EXIT_BROKER, EXIT_INTERRUPTED = 0, 2, 3, 4, 130


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


class TransportError(StreamScorerError):
    exit_code = EXIT_BROKER


class BrokerError(TransportError):
    pass


class Unavailable(TransportError):
    pass


class CommitAborted(TransportError):
    pass


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
