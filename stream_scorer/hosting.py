"""A model opened and wired: begun in its sandbox, with codecs, sessions and a scorer around it.

The same for all that score in this process: `run`, `score`, `verify`, `backtest`.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stream_scorer.codec import codec_for
from stream_scorer.codec.schema import Schema, load_schema
from stream_scorer.engine.scoring import Scored, Scorer
from stream_scorer.errors import ModelError
from stream_scorer.model.locate import Located
from stream_scorer.model.module import Module
from stream_scorer.model.sandbox import sandbox
from stream_scorer.ports import Codec, Judge
from stream_scorer.records import Record
from stream_scorer.state.sessions import Sessions

log = logging.getLogger(__name__)


class Wired(NamedTuple):
    """What scores records with a model, and the state that it keeps between them."""

    sessions: Sessions
    scorer: Scorer

    def score(self, records: Sequence[Record], sizes: Iterable[int]) -> list[Scored]:
        """Batch after batch, of these sizes while there are any; all of it is kept."""
        scored: list[Scored] = []
        at, left = 0, iter(sizes)
        while at < len(records):
            size = next(left, len(records))
            scored += self.scorer.score(records[at : at + size])
            self.sessions.settle()
            at += size
        return scored


class Opened:
    """A module begun in its sandbox, with the schema of each slot in use (None: untyped)."""

    def __init__(self, module: Module, schemas: dict[int, Schema | None], attachment: Path | None) -> None:
        self.module = module
        self.schemas = schemas
        self.identity = module.sha256 if attachment is None else f"{module.sha256}+{_sha256(attachment)}"
        """Of module and attachment: state that another one saved is not this one's."""

    def codec(self, slot: int, encoding: str, **how: Any) -> Codec:
        """Of a slot in use; `how` as `codec_for` takes it. Raises ModelError: no schema, and Avro needs one."""
        schema = self.schemas.get(slot)
        if schema is None and encoding != "json":
            raise ModelError(
                f"{self.module.path}: no schema for slot {slot}, which Avro needs. Add the comment "
                f"'# fastscore.schema.{slot}: NAME', or use --input-encoding and --output-encoding json."
            )
        return codec_for(encoding, schema, **how)

    def wire(
        self,
        decoder: Codec,
        encoders: Mapping[int, Codec],
        *,
        judge: Judge | None = None,
        one_by_one: bool = False,
        **sessions: Any,
    ) -> Wired:
        """The model with these codecs. Raises ModelError: its state cannot be kept.

        Args:
            judge: of forecasts, see `Scorer`.
            one_by_one: leave the batch hook of the module alone.
            sessions: `by_key`, `ttl_ms` and `cap` of `Sessions`.
        """
        self.module.check_views()
        model: Any = _OneByOne(self.module) if one_by_one else self.module
        kept = Sessions(model, self.module.state_names, noted=judge is not None, **sessions)
        return Wired(kept, Scorer(model, kept, decoder, encoders, judge))

    def wire_json(self, *, strict: bool = True, **how: Any) -> Wired:
        """The same with JSON at all slots. `strict`: NaN and Infinity are refused."""
        codecs = {slot: self.codec(slot, "json", strict=strict) for slot in self.schemas}
        return self.wire(codecs[0], {slot: codec for slot, codec in codecs.items() if slot % 2}, **how)


@contextlib.contextmanager
def opened(
    located: Located, attachment: Path | None, schema_files: Mapping[str, Path], *, endless: bool = True
) -> Iterator[Opened]:
    """Load and begin a model, with its attachment unpacked around it; `end` it after the block. Raises ModelError.

    endless: refuse a model that needs the end of its input, which a topic has not.
    """
    attachment = attachment or located.attachment
    with sandbox(attachment):
        started = time.perf_counter()
        module = Module(located.module, [attachment.name] if attachment else [], endless=endless)
        names = module.annotations.schemas
        schemas = {
            slot: load_schema(names[slot], schema_files, located.schema_dir) if slot in names else None
            for slot in sorted(module.annotations.slots_in_use)
        }
        module.begin()
        log.info(
            "model %s sha256=%s begun in %.1f s, state: %s%s",
            module.name,
            module.sha256,
            time.perf_counter() - started,
            ", ".join(module.state_names) or "none",
            ", batched" if module.batched else "",
        )
        try:
            yield Opened(module, schemas, attachment)
        except BaseException:
            with _told():
                module.end()
            raise
        module.end()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What fails in the block is not to hide what has failed before it."""
    try:
        yield
    except ModelError as error:
        log.warning("%s", error)


class _OneByOne:
    """A module without its batch hook."""

    batched = False

    def __init__(self, module: Module) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def paths(schemas: Mapping[str, str]) -> dict[str, Path]:
    return {name: Path(path).resolve() for name, path in schemas.items()}
