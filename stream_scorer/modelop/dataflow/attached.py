"""The streams that are attached to an engine, by slot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from stream_scorer.errors import DescriptorError, NoSuchStream
from stream_scorer.modelop.dataflow.loaded import Loaded
from stream_scorer.modelop.dataflow.slot_streams import End, Input, Output, make_end
from stream_scorer.modelop.dataflow.taps import Taps
from stream_scorer.modelop.streams import descriptor
from stream_scorer.modelop.streams.descriptor import Stream
from stream_scorer.modelop.streams.opening import resource

_YET_TO_COME = ("the model's", {"type": "record", "name": "YetToCome", "fields": []})
"""Stands for the schema that a stream will inherit, while no model is loaded: encodings that need one have one."""


class Attached:
    """Changed by control calls only; read from any thread."""

    def __init__(self, find_schema: Callable[[str], Any], taps: Taps) -> None:
        self._find_schema, self._taps = find_schema, taps
        self.ends: Mapping[int, End] = {}
        """Never changed in place, so that whoever reads it sees one moment."""

    def parse(self, slot: int, name: str, raw: Any, model: Loaded | None, *, dry_run: bool = False) -> Stream:
        """Raises DescriptorError: it is wrong, or the slot is not in use, or its schema does not match the model's."""
        if slot < 0 or (model is not None and slot not in model.slots):
            used = ", ".join(map(str, sorted(model.slots))) if model else "numbers from 0"
            raise DescriptorError(f"stream {name!r}: slot {slot} is not in use; slots in use are {used}.")

        def parse(inherited: tuple[str, Any] | None) -> Stream:
            return descriptor.parse(
                raw, slot=slot, name=name, dry_run=dry_run, inherited=inherited, find_schema=self._find_schema
            )

        if model is not None:
            return parse(model.schemas.get(slot))
        try:
            return parse(None)
        except DescriptorError as error:
            try:
                return parse(_YET_TO_COME)
            except DescriptorError:
                raise error from None

    def retyped(self, model: Loaded) -> dict[int, Stream]:
        """Every descriptor again, with the schemas of a model. Raises as `parse` does."""
        return {slot: self.parse(slot, end.name, end.raw, model) for slot, end in self.ends.items()}

    def make(self, stream: Stream, raw: Any, model: Loaded | None) -> End:
        end = make_end(stream.slot, stream.name, raw, stream, self._taps.slot(stream.slot))
        if model is not None:
            end.suit(stream, model.rules)
        return end

    def open_beside(self, before: End, new: End) -> None:
        """`new` while `before` is open still; left to whoever closes that where both need one resource.

        Raises as `open` does.
        """
        if not _exclude(before, new):
            self.open([new])

    def exchange(self, before: End | None, new: End, *, opened: bool) -> None:
        """`new` at its slot, in place of `before`, while there is no run. Raises as `open` does; then all is as it was."""
        if before is not None and opened and _exclude(before, new):
            before.unopen()
            try:
                self.open([new])
            except BaseException:
                before.open()
                raise
        else:
            if opened:
                self.open([new])
            if before is not None:
                before.close()
        self.put(new)

    def open(self, ends: Iterable[End]) -> None:
        """All of them, or none. Raises DescriptorError, TransportError."""
        opened: list[End] = []
        try:
            for end in ends:
                self._taps.debug("schema match", end.slot)
                end.open()
                self._taps.debug("stream open", end.slot)
                opened.append(end)
        except BaseException:
            for end in opened:
                end.unopen()
            raise

    def put(self, end: End) -> None:
        self.ends = {**self.ends, end.slot: end}

    def remove(self, slot: int) -> End:
        """Raises NoSuchStream."""
        end = self.end(slot)
        self.ends = {other: kept for other, kept in self.ends.items() if other != slot}
        return end

    def end(self, slot: int) -> End:
        """Raises NoSuchStream."""
        if slot not in self.ends:
            raise NoSuchStream(f"no stream is attached at slot {slot}.")
        return self.ends[slot]

    def input(self, slot: int) -> Input:
        """Raises NoSuchStream."""
        end = self.end(slot)
        if not isinstance(end, Input):
            raise NoSuchStream(f"slot {slot} is an output: inputs have even numbers.")
        return end

    def output(self, slot: int) -> Output:
        """Raises NoSuchStream."""
        end = self.end(slot)
        if not isinstance(end, Output):
            raise NoSuchStream(f"slot {slot} is an input: outputs have odd numbers.")
        return end

    def info(self) -> list[dict[str, Any]]:
        """ActiveStreamInfo of each; `descriptor` is in the user's form."""
        return [
            {"slot": end.slot, "name": end.name, "descriptor": end.raw, "eof": end.eof}
            for _, end in sorted(self.ends.items())
        ]


def _exclude(before: End, new: End) -> bool:
    held = resource(before.stream) if before.opened else None
    return held is not None and held == resource(new.stream)
