"""What stands beside the offsets that a group has committed: of which topic they are, and since when the group has them."""

from __future__ import annotations

from stream_scorer.records import Committed

_TOPIC_ID, _BEGAN_WITH = "topic-id=", "began-with="


def metadata(topic_id: str, began_with: int) -> str:
    """Of a committed offset. Versions before `began-with` read the end of it alone: the id stays last.

    began_with: partitions that the topic had when the group began with this one; 0: not known.
    """
    return (f"{_BEGAN_WITH}{began_with} " if began_with else "") + _TOPIC_ID + topic_id


def committed(offset: int, text: str | None) -> Committed | None:
    """A committed offset as a broker gives it, below 0 where there is none, and its metadata."""
    if offset < 0:
        return None
    before, _, topic_id = (text or "").partition(_TOPIC_ID)
    count = before.removeprefix(_BEGAN_WITH).strip()
    return Committed(offset, topic_id, int(count) if count.isdecimal() else 0)
