"""Values of any number, scored as their outputs are asked for."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, overload

from stream_scorer.api.model import Model, absolute_files, open_model
from stream_scorer.api.outcome import KeyOf, Output, Rejected, check_on_reject, check_values
from stream_scorer.model.locate import absolute
from stream_scorer.scoring.hosting import in_a_model

BATCH = 1024


@overload
def score(
    model: Model | str | Path,
    values: Iterable[Any],
    key: KeyOf = None,
    *,
    attachment: str | Path | None = None,
    schemas: Mapping[str, str | Path] | None = None,
    unverified: bool = False,
    require_signature: str | Path | None = None,
    on_reject: Literal["raise"] = "raise",
    batch: int = BATCH,
) -> Iterator[Output]: ...
@overload
def score(
    model: Model | str | Path,
    values: Iterable[Any],
    key: KeyOf = None,
    *,
    attachment: str | Path | None = None,
    schemas: Mapping[str, str | Path] | None = None,
    unverified: bool = False,
    require_signature: str | Path | None = None,
    on_reject: Literal["return"],
    batch: int = BATCH,
) -> Iterator[Output | Rejected]: ...
def score(
    model: Model | str | Path,
    values: Iterable[Any],
    key: KeyOf = None,
    *,
    attachment: str | Path | None = None,
    schemas: Mapping[str, str | Path] | None = None,
    unverified: bool = False,
    require_signature: str | Path | None = None,
    on_reject: Literal["raise", "return"] = "raise",
    batch: int = BATCH,
) -> Iterator[Any]:
    """Outputs of all values in order, made as they are asked for; then those of the model's `end`, if it was opened here.

    Args:
        model: an open Model, or what `open_model` takes, then opened at the first output and closed after the last one;
            relative paths lead from where `score` was called.
        values: may be endless: at most `batch` of them are taken at a time and scored together.
        attachment, schemas, unverified, require_signature: as in `open_model`, which they are for.
        key, on_reject: as in `Model.score`. With "raise" the outputs of earlier batches have been given by then.
    Raises:
        RecordError, ModelError, StateError: as `open_model` and `Model.score`, when the outputs are asked for.
        TypeError, ValueError: values, on_reject or batch are not of their kind; at once.
    """
    check_on_reject(on_reject)
    check_values(values)
    if batch < 1:
        raise ValueError(f"batch is a number from 1 on, not {batch}")
    if isinstance(model, Model):
        return _in_batches(model, values, key, on_reject, batch)
    with in_a_model:
        keys = None if require_signature is None else Path(require_signature).resolve()
        files = absolute_files(attachment, schemas)
        opening = open_model(absolute(str(model)), *files, unverified=unverified, require_signature=keys)
    return _opened_in_batches(opening, values, key, on_reject, batch)


def _opened_in_batches(
    opening: contextlib.AbstractContextManager[Model],
    values: Iterable[Any],
    key: KeyOf,
    on_reject: Literal["raise", "return"],
    batch: int,
) -> Iterator[Output | Rejected]:
    with opening as opened:
        yield from _in_batches(opened, values, key, on_reject, batch)
        yield from opened.end()


def _in_batches(
    model: Model, values: Iterable[Any], key: KeyOf, on_reject: Literal["raise", "return"], batch: int
) -> Iterator[Output | Rejected]:
    """Offsets count through all batches."""
    remaining, first = iter(values), 0
    while taken := list(itertools.islice(remaining, batch)):
        for result in model.score(taken, key, on_reject=on_reject):
            yield result._replace(offset=result.offset + first)
        first += len(taken)
