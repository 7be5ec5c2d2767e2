"""The answer to a dry run: the descriptor as it was understood. Section [f]."""

from __future__ import annotations

import re
from typing import Any

from stream_scorer.modelop.streams.forms import Batching, Envelope
from stream_scorer.modelop.streams.kinds import Transport


def interpreted(
    *,
    transport: Transport,
    loop: bool,
    skip_to: int | None,
    skip_to_record: int | str | None,
    envelope: Envelope | None,
    encoding: str | None,
    options: dict[str, Any],
    schema: Any,
    batching: Batching,
    linger_ms: int | None,
    end_marker: str | None,
) -> dict[str, Any]:
    """`schema` "$inherit" is told as "undefined", None is left out, as are places to begin that are not set."""
    answer: dict[str, Any] = {
        "transport": {"type": transport.type, **_lower(transport.fields)},
        "encoding": {"type": encoding, **_lower(options)} if options else encoding,
        "loop": loop,
        "batching": {"watermark": batching.watermark, "nagle_time": batching.nagle_ms},
        "linger_time": linger_ms,
    }
    if envelope is not None:
        answer["envelope"] = {"type": envelope.type, **_lower(envelope.fields)}
    if schema is not None:
        answer["schema"] = "undefined" if schema == "$inherit" else schema
    optional = {"skip_to": skip_to, "skip_to_record": skip_to_record, "end_marker": end_marker}
    return answer | {key: value for key, value in optional.items() if value is not None}


def _lower(fields: dict[str, Any]) -> dict[str, Any]:
    return {_snake(name): value for name, value in fields.items() if value is not None}


def _snake(name: str) -> str:
    """BootstrapServers: bootstrap_servers. AccessKeyID: access_key_id."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
