"""Hosts a model: opens it in its sandbox, and wires it with codecs, sessions and a scorer.

`run`, `score`, `verify`, `backtest` and the Python API use it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stream_scorer.codec import codec_for
from stream_scorer.codec.schema import Schema
from stream_scorer.codec.schema_files import load_schema
from stream_scorer.errors import ModelError
from stream_scorer.model.locate import Located
from stream_scorer.model.module import Module
from stream_scorer.model.sandbox import sandbox
from stream_scorer.model.trust import attached
from stream_scorer.ports import Codec, Judge
from stream_scorer.records import Record
from stream_scorer.scoring.scorer import Scored, Scorer
from stream_scorer.state.sessions import Sessions

log = logging.getLogger(__name__)

in_a_model = threading.RLock()
"""Held by the thread that is in the working directory of a model hosted by `host_model_apart`: a process has only one. Whoever
holds it and is in no model is in the process's own."""


class Wired(NamedTuple):
    """A scorer, and the sessions that keep the model's state between records."""

    sessions: Sessions
    scorer: Scorer

    def score(self, records: Sequence[Record], sizes: Iterable[int]) -> list[Scored]:
        """Score records in batches of these sizes, and the rest in one batch. Returns outputs and rejects in order. Blocks.

        Each batch's changes of the state are final. Raises ModelError: the model ends the run.
        """
        scored: list[Scored] = []
        at, left = 0, iter(sizes)
        while at < len(records):
            size = next(left, len(records))
            scored += self.scorer.score(records[at : at + size])
            self.sessions.settle()
            at += size
        return scored


class HostedModel:
    """A model in its sandbox, after its `begin`.

    Attributes:
        schemas: by slot in use; None: the slot is untyped.
        identity: sha256 of the module and, after a +, of the attachment. Only the identity that saved a state uses it.
        apart: the process is not in the sandbox; the scorers of `wire` enter it by themselves.
    """

    def __init__(self, module: Module, schemas: dict[int, Schema | None], attachment: str | None) -> None:
        self.folder, self.apart = Path.cwd(), False
        self.module = module
        self.schemas = schemas
        self.identity = module.sha256 if attachment is None else f"{module.sha256}+{attachment}"

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Return a context manager: in its block the process is in the model's working directory.

        After `host_model_apart`, every call into the model must be in such a block. Blocks while another thread is in one.
        """
        with in_a_model, contextlib.chdir(self.folder):
            yield

    def codec(self, slot: int, encoding: str, **options: Any) -> Codec:
        """Return the codec of a slot in use. options: as in `codec_for`.

        Raises ModelError: the encoding is Avro, and the slot has no schema.
        """
        schema = self.schemas.get(slot)
        if schema is None and encoding != "json":
            raise ModelError(
                f"{self.module.path}: no schema for slot {slot}, which Avro needs. Add the comment "
                f"'# fastscore.schema.{slot}: NAME', or use --input-encoding and --output-encoding json."
            )
        return codec_for(encoding, schema, **options)

    def wire(
        self,
        decoder: Codec,
        encoders: Mapping[int, Codec],
        *,
        judge: Judge | None = None,
        one_by_one: bool = False,
        **options: Any,
    ) -> Wired:
        """Return sessions and a scorer for the model, with these codecs. Raises ModelError: its state cannot be kept.

        Args:
            judge: as in `Scorer`.
            one_by_one: call `action` for each record, even if the module has the batch hook.
            options: `by_key`, `ttl_ms` and `cap` of `Sessions`.
        """
        self.module.check_views()
        model: Any = _OneByOne(self.module) if one_by_one else self.module
        sessions = Sessions(model, self.module.state_names, with_forecasts=judge is not None, **options)
        inside = self.inside if self.apart else contextlib.nullcontext
        return Wired(sessions, Scorer(model, sessions, decoder, encoders, judge, inside))

    def wire_json(self, *, strict: bool = True, **options: Any) -> Wired:
        """Do as `wire`, with JSON codecs at all slots. `strict`: refuse NaN and Infinity."""
        codecs = {slot: self.codec(slot, "json", strict=strict) for slot in self.schemas}
        return self.wire(codecs[0], {slot: codec for slot, codec in codecs.items() if slot % 2}, **options)


@contextlib.contextmanager
def host_model(located: Located, schema_files: Mapping[str, Path], *, endless: bool = True) -> Iterator[HostedModel]:
    """Load a model in a sandbox with its attachment and call its `begin`; after the block, call its `end`.

    In the block the process is in the sandbox, the model's working directory. Blocks while the model loads and begins:
    seconds, with TensorFlow. Raises ModelError: the model cannot be loaded, or its `begin` or `end` fails.

    Args:
        schema_files: absolute paths by the names of schemas; other names are looked for in the folder of the module.
        endless: the input has no end, as a topic has none. A model that needs the end is refused.
    """
    with attached(located.attachment, located.sha256) as attachment, sandbox(attachment and attachment.path):
        started = time.perf_counter()
        module = Module(located.program, located.attachments, endless=endless)
        names = module.annotations.schemas
        schemas = {
            slot: load_schema(names[slot], schema_files, located.schema_dir, located.contents)
            if slot in names
            else None
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
            yield HostedModel(module, schemas, attachment and attachment.sha256)
        except BaseException:
            with _only_logged():
                module.end()
            raise
        module.end()


@contextlib.contextmanager
def host_model_apart(
    located: Located, schema_files: Mapping[str, Path], *, endless: bool = True
) -> Iterator[HostedModel]:
    """Do as `host_model`, for a process that does more than host the model: it stays in its own working directory.

    Every call into the model must be in a block of `HostedModel.inside`, in which the scorers of `HostedModel.wire` are.
    Blocks also while another thread is inside a model.
    """
    with in_a_model:
        outside = Path.cwd()
        try:
            with host_model(located, schema_files, endless=endless) as hosted:
                hosted.apart = True
                os.chdir(outside)
                in_a_model.release()
                try:
                    yield hosted
                finally:
                    in_a_model.acquire()
                    with contextlib.suppress(FileNotFoundError):  # the folder the block is in may be gone
                        outside = Path.cwd()  # the block may have moved on
                    os.chdir(hosted.folder)
        finally:
            os.chdir(outside)


@contextlib.contextmanager
def _only_logged() -> Iterator[None]:
    """Log a ModelError of the block instead of raising it: it must not hide the error that came before."""
    try:
        yield
    except ModelError as error:
        log.warning("%s", error)


class _OneByOne:
    """A module whose batch hook is not used."""

    batched = False

    def __init__(self, module: Module) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def absolute_paths(files: Mapping[str, str]) -> dict[str, Path]:
    """Return the absolute paths of files, by name: in the sandbox, relative paths would refer to the model's directory."""
    return {name: Path(path).resolve() for name, path in files.items()}
