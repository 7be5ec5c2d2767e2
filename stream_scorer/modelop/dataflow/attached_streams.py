"""The streams that are attached to an engine, by slot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from stream_scorer.errors import DescriptorError, NoSuchStream
from stream_scorer.modelop.dataflow.loaded_model import LoadedModel
from stream_scorer.modelop.dataflow.slot_streams import Input, Output, SlotStream
from stream_scorer.modelop.dataflow.taps import Taps
from stream_scorer.modelop.streams import descriptor
from stream_scorer.modelop.streams.opening import resource
from stream_scorer.modelop.streams.stream import Stream

_YET_TO_COME = ("the model's", {"type": "record", "name": "YetToCome", "fields": []})
"""Stands for the schema that a stream will inherit while no model is loaded: some encodings need one."""


class AttachedStreams:
    """Changed by one control call at a time; read from any thread. Calls that open or close a stream block meanwhile."""

    def __init__(self, find_schema: Callable[[str], Any], taps: Taps) -> None:
        self._find_schema, self._taps = find_schema, taps
        self.by_slot: Mapping[int, SlotStream] = {}
        """Replaced as a whole, never changed, so that a reader sees one moment."""

    def parse(self, slot: int, name: str, raw: Any, model: LoadedModel | None, *, dry_run: bool = False) -> Stream:
        """Return the descriptor, checked against the model.

        Raises DescriptorError: it is wrong, the slot is not in use, or its schema does not match the model's.
        """
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

    def parse_all(self, model: LoadedModel) -> dict[int, Stream]:
        """Parse every attached descriptor again, with the schemas of a model. Raises as `parse` does."""
        return {slot: self.parse(slot, attached.name, attached.raw, model) for slot, attached in self.by_slot.items()}

    def make(self, stream: Stream, raw: Any, model: LoadedModel | None) -> SlotStream:
        """Return the input or output of a stream, not open and not attached yet."""
        kind = Output if stream.output else Input
        made = kind(stream.slot, stream.name, raw, stream, self._taps.slot(stream.slot))
        if model is not None:
            made.adapt(stream, model.rules)
        return made

    def open_beside(self, before: SlotStream, new: SlotStream) -> None:
        """Open `new` while `before` is open. If both need one resource, leave it to whoever closes `before`.

        Raises as `open` does.
        """
        if not _share_resource(before, new):
            self.open([new])

    def exchange(self, before: SlotStream | None, new: SlotStream, *, opened: bool) -> None:
        """Put `new` at its slot in place of `before`, while there is no run.

        Raises as `open` does; then nothing has changed.
        """
        if before is not None and opened and _share_resource(before, new):
            before.close_to_reopen()
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

    def open(self, attached: Iterable[SlotStream]) -> None:
        """Open all of them, or none. Raises DescriptorError, TransportError."""
        opened: list[SlotStream] = []
        try:
            for slot_stream in attached:
                self._taps.debug("schema match", slot_stream.slot)
                slot_stream.open()
                self._taps.debug("stream open", slot_stream.slot)
                opened.append(slot_stream)
        except BaseException:
            for slot_stream in opened:
                slot_stream.close_to_reopen()
            raise

    def put(self, attached: SlotStream) -> None:
        self.by_slot = {**self.by_slot, attached.slot: attached}

    def remove(self, slot: int) -> SlotStream:
        """Detach and return the stream of a slot. Raises NoSuchStream."""
        removed = self._at(slot)
        self.by_slot = {other: kept for other, kept in self.by_slot.items() if other != slot}
        return removed

    def input(self, slot: int) -> Input:
        """Raises NoSuchStream."""
        attached = self._at(slot)
        if not isinstance(attached, Input):
            raise NoSuchStream(f"slot {slot} is an output: inputs have even numbers.")
        return attached

    def output(self, slot: int) -> Output:
        """Raises NoSuchStream."""
        attached = self._at(slot)
        if not isinstance(attached, Output):
            raise NoSuchStream(f"slot {slot} is an input: outputs have odd numbers.")
        return attached

    def info(self) -> list[dict[str, Any]]:
        """Return the API's ActiveStreamInfo of each stream; `descriptor` is as the user wrote it."""
        return [
            {"slot": attached.slot, "name": attached.name, "descriptor": attached.raw, "eof": attached.eof}
            for _, attached in sorted(self.by_slot.items())
        ]

    def _at(self, slot: int) -> SlotStream:
        if slot not in self.by_slot:
            raise NoSuchStream(f"no stream is attached at slot {slot}.")
        return self.by_slot[slot]


def _share_resource(before: SlotStream, new: SlotStream) -> bool:
    held = resource(before.stream) if before.opened else None
    return held is not None and held == resource(new.stream)
