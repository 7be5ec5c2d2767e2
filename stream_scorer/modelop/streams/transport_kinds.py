"""The transports of stream descriptors: their fields, directions and abilities (rule `f.transports`)."""

from __future__ import annotations

import base64
import binascii
import datetime
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from stream_scorer.errors import DescriptorError
from stream_scorer.secret_text import is_secret


@dataclass(frozen=True)
class Transport:
    """The Transport of a descriptor.

    type: in lower case, as "rest". fields: by the descriptor's names, defaults filled in; what is not set is None.
    """

    type: str
    fields: dict[str, Any]

    @property
    def keeps_boundaries(self) -> bool:
        """Whether each piece that the transport delivers is one record."""
        if self.type == "rest":
            return bool(self.fields["Mode"] == "simple")
        if self.type == "http":
            return bool(self.fields["Chunked"])
        if self.type == "inline":
            return any(isinstance(self.fields[name], list) for name in ("Data", "DataBinary"))
        return self.type in ("kafka", "udp", "discard", "time")

    @property
    def seekable(self) -> bool:
        """Whether an input can begin at another place than its first byte or record."""
        return self.type in ("kafka", "http", "file", "inline")


class Field(NamedTuple):
    """A field of a transport. `check` returns the value to use, or raises ValueError."""

    check: Callable[[Any], Any]
    default: Any = None
    required: bool = False


class Kind(NamedTuple):
    """A type of transport: its fields, and whether it can be an input and an output."""

    fields: Mapping[str, Field]
    input: bool = True
    output: bool = True


_SHOW = reprlib.Repr()
_SHOW.maxstring = _SHOW.maxother = 80
MAX_WHOLE = 2**63 - 1
_MAX_SECONDS = 1e9  # about 30 years; longer waits overflow a clock


def shown(value: Any) -> str:
    """Return JSON of any size and depth as one short line for an error text."""
    try:
        return _SHOW.repr(value)
    except ValueError:
        return "an integer too long to show"


def is_text(value: Any) -> bool:
    """Whether it is a string that UTF-8 can write: JSON may hold half of a surrogate pair."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def _expected(wanted: str, value: Any) -> ValueError:
    return ValueError(f"expected {wanted}, found {shown(value)}")


def _text(value: Any) -> str:
    if not value or not is_text(value) or "\0" in value:  # no name of a file, a host or a topic holds a zero byte
        raise _expected("a string", value)
    return str(value)


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(is_text(text) and "\0" not in text for text in value):
        raise _expected("an array of strings", value)
    return value


def _servers(value: Any) -> list[str]:
    if isinstance(value, str):
        value = value.split(",")
    if not _texts(value) or not all(":" in server for server in value):
        raise _expected('an array like ["host:9092"]', value)
    return list(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _expected("true or false", value)
    return value


def _whole(low: int, high: int = MAX_WHOLE) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise _expected(f"a whole number from {low}" + (f" to {high}" if high < 2**62 else ""), value)
        return value

    return check


def _url(value: Any) -> str:
    if not _text(value).startswith(("http://", "https://")):
        raise _expected("a URL that begins http:// or https://", value)
    return str(value)


def _seconds(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _MAX_SECONDS:
        raise _expected(f"a number of seconds, up to {_MAX_SECONDS:.0e}", value)
    return float(value)


def _one_of(*words: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str) or value.lower() not in words:
            raise _expected(" or ".join(words), value)
        return value.lower()

    return check


def _data(value: Any) -> Any:
    if not all(map(is_text, value if isinstance(value, list) else [value])):
        raise _expected("a string or an array of strings", value)
    return value


def _base64(value: Any) -> Any:
    for text in value if isinstance(value, list) else [value]:
        try:
            base64.b64decode(text, validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise _expected("base64 or an array of it", text) from None
    return value


def _time(value: Any) -> str:
    try:
        datetime.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _expected("a time like 2018-02-28T12:00:00Z", value) from None
    return str(value)


def _length(low: int, high: int) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not low <= len(_text(value)) <= high:
            raise _expected(f"{low} to {high} characters", value)
        return str(value)

    return check


_PORT = Field(_whole(1, 65535), required=True)

KINDS: dict[str, Kind] = {
    "kafka": Kind(
        {
            "BootstrapServers": Field(_servers, required=True),
            "Topic": Field(_text, required=True),
            "Group": Field(_text),
            "CommitOffset": Field(_flag, True),
            "Partition": Field(_whole(0, 2**31 - 1), 0),
            "MaxWaitTime": Field(_whole(0)),
            "Principal": Field(_text),
            "Keytab": Field(_text),
        }
    ),
    "rest": Kind({"Mode": Field(_one_of("simple", "chunked"), "simple")}),
    "http": Kind({"Url": Field(_url, required=True), "Chunked": Field(_flag, False)}),
    "file": Kind({"Path": Field(_text, required=True)}),
    "tcp": Kind({"Host": Field(_text, required=True), "Port": _PORT}),
    "udp": Kind({"BindTo": Field(_text, "0.0.0.0"), "Port": _PORT}, output=False),
    "exec": Kind({"Run": Field(_text, required=True), "Args": Field(_texts, [])}),
    "inline": Kind({"Data": Field(_data), "DataBinary": Field(_base64)}, output=False),
    "discard": Kind({}, input=False),
    "time": Kind(
        {
            "TimeZero": Field(_time),
            "Delay": Field(_seconds, 0.0),
            "Period": Field(_seconds, 1.0),
            "MaxCount": Field(_whole(0)),
            "Overflow": Field(_one_of("all", "skip"), "all"),
        },
        output=False,
    ),
    "s3": Kind(
        {
            "Region": Field(_text, "us-east-1"),
            "Bucket": Field(_length(3, 63), required=True),
            "ObjectKey": Field(_length(1, 1024), required=True),
            "IntegrityChecks": Field(_flag, False),
            "AccessKeyID": Field(_text),
            "SecretAccessKey": Field(_text),
        }
    ),
}
_ALIASES = {"debug": "inline"}
_RENAMED = {"udp": ("BindTo", ("Bind", "Host"))}
_UNSUPPORTED = {
    "hdfs": "put a file, HTTP or S3 stream in its place",
    "odbc": "put an exec stream of a program that runs the query in its place",
    "kafka-offset": "offsets are committed once the records before them are scored; leave the stream away",
    "console": "it is gone since 1.7; what the model prints is on Pneumo as model-console",
}


def transport(given: Any) -> Transport:
    """Return a descriptor's Transport, given as an object or a word. Raises DescriptorError."""
    if isinstance(given, str):
        given = {"Type": given}
    if not isinstance(given, dict) or not isinstance(given.get("Type"), str):
        raise DescriptorError(f"Transport: expected an object with a Type, or a word like REST, found {shown(given)}.")
    word = given["Type"]
    name = _ALIASES.get(word.lower(), word.lower())
    if name in _UNSUPPORTED:
        raise DescriptorError(f"Transport: {word} is not supported by this engine: {_UNSUPPORTED[name]}.")
    if name not in KINDS:
        raise DescriptorError(f"Transport: unknown Type {shown(word)}. There are {', '.join(KINDS)}.")
    given = _renamed(name, given)
    fields = {key: _checked(word, key, field, given) for key, field in KINDS[name].fields.items()}
    if name == "inline" and (fields["Data"] is None) == (fields["DataBinary"] is None):
        raise DescriptorError("Transport: inline takes one of Data and DataBinary.")
    return Transport(name, fields)


def _renamed(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """The fields with older names replaced by those of KINDS."""
    field, older_names = _RENAMED.get(name, ("", ()))
    value = next((given[older] for older in older_names if older in given), None)
    return {field: value, **given} if value is not None else given


def _checked(word: str, key: str, field: Field, given: dict[str, Any]) -> Any:
    value = given.get(key)
    if value is None:
        if field.required:
            raise DescriptorError(f"Transport: {word} needs {key}.")
        return field.default
    try:
        return field.check(value)
    except ValueError as error:
        problem = "the value does not fit" if is_secret(key) else str(error)
        raise DescriptorError(f"Transport: {key} of {word}: {problem}.") from None
