"""Random models on random values: the same in a plain host, by `score`, through `run` with aborts and restarts, in a jet.

`pytest --fuzz=1` tries a hundred times as many, others at every run.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.conformance import plain_host
from tests.conformance.by_plain import Given
from tests.conformance.grammar import Made, as_json, models, tagged
from tests.support import wired
from tests.support.meaning import Misfit, Typed, read_json

ENCODINGS = ("json", "avro-binary")
Forms = dict[int, list[str]]


class Case:
    """A model that was made, in a folder."""

    def __init__(self, made: Made, folder: Path) -> None:
        self.made, self.folder = made, folder
        self.typed = {slot: Typed(schema) for slot, schema in self._schemas().items()}
        self.path = folder / "model.py"
        self.path.write_text(made.source)
        self.files = {name: str(folder / f"{name}.avsc") for name in made.schemas}
        for name, schema in made.schemas.items():
            Path(self.files[name]).write_text(json.dumps({"type": schema} if isinstance(schema, str) else schema))
        self.records = {encoding: self._wire(encoding) for encoding in ENCODINGS}
        self.good = [at for at in range(len(made.inputs)) if at not in made.spoiled]

    def _schemas(self) -> dict[int, Any]:
        names = dict(
            line.removeprefix("# fastscore.schema.").split(": ")
            for line in self.made.source.splitlines()
            if line.startswith("# fastscore.schema.")
        )
        return {int(slot): self.made.schemas[name] for slot, name in names.items()}

    def _wire(self, encoding: str) -> list[bytes]:
        """What is spoiled has something behind it that belongs to nothing."""
        values = [tagged(value) for _, value in self.made.inputs]
        written = [as_json(value) if encoding == "json" else self.typed[0].to_avro(value) for value in values]
        return [one + b"}" if at in self.made.spoiled else one for at, one in enumerate(written)]

    def seen(self, encoding: str, record: bytes) -> Any:
        return read_json(record, strict=True) if encoding == "json" else self.typed[0].seen(record)

    def form(self, slot: int, datum: Any) -> str:
        return self.typed[slot].form(datum)

    def plain(self, encoding: str, places: Sequence[int]) -> list[Given]:
        """Of the records at these places."""
        default = self.made.slots[0] if len(self.made.slots) == 1 else 1
        values = [self.seen(encoding, self.records[encoding][at]) for at in places]
        with contextlib.redirect_stdout(io.StringIO()):
            found = plain_host.run(self.made.source, values, default=default)
        return [Given(*one) for one in found]

    def kept(self, encoding: str, places: Sequence[int]) -> dict[int, Given]:
        """By place: a record that is rejected has never happened."""
        places = list(places)
        while True:
            found = self.plain(encoding, places)
            bad = next((at for at in range(len(places)) if not self._good(found[at])), None)
            if bad is None:
                return dict(zip(places, found, strict=False))
            del places[bad]

    def _good(self, given: Given) -> bool:
        return given.error is None and all(self._fits(slot, datum) for slot, datum in given.outputs)

    def _fits(self, slot: int, datum: Any) -> bool:
        return slot in self.typed and self.typed[slot].fits(datum)

    def of_engine(self, given: Sequence[Given]) -> tuple[Forms, bool]:
        """Outputs that fit, up to the first error; whether there was one."""
        forms: Forms = {}
        for one in given:
            for slot, datum in one.outputs:
                with contextlib.suppress(Misfit):
                    form = self.form(slot, datum)
                    forms.setdefault(slot, []).append(form)
        return forms, bool(given and given[-1].error)

    def read(self, slot: int, encoding: str, data: bytes) -> str:
        return self.form(slot, json.loads(data) if encoding == "json" else self.typed[slot].consumed(data))


def test_random_models_are_the_same_in_every_column(request: pytest.FixtureRequest) -> None:
    millions = request.config.getoption("--fuzz")
    examples = int(10_000 * millions) if millions else settings().max_examples

    @settings(
        max_examples=examples,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        derandomize=not millions,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(models(), st.data())
    def compare(made: Made, data: st.DataObject) -> None:
        note(made.source)
        note(str(made.schemas))
        with TemporaryDirectory() as folder:
            case = Case(made, Path(folder))
            for encoding in ENCODINGS:
                _compare_run(case, encoding, data)
                _compare_jet(case, encoding)
            _compare_score(case)

    compare()


def _compare_run(case: Case, encoding: str, data: st.DataObject) -> None:
    """A session per key, each as if it were alone."""
    records, keys = case.records[encoding], [key for key, _ in case.made.inputs]
    places = st.lists(st.integers(0, len(records)), max_size=3)
    aborts, restarts, batch = data.draw(places), data.draw(places), data.draw(st.integers(1, 4))
    expected: dict[int, list[tuple[int, str]]] = {}
    for key in set(keys):
        for place, one in case.kept(encoding, [at for at in case.good if keys[at] == key]).items():
            expected[place] = [(slot, case.form(slot, datum)) for slot, datum in one.outputs]
    chosen = wired.settings(encoding, encoding, case.made.slots, schema=case.files)
    with _quiet():
        log = wired.run(
            case.path,
            chosen,
            list(zip(keys, records, strict=True)),
            aborts=aborts,
            restarts=restarts,
            batch=batch,
        )
    found: dict[int, list[tuple[int, str]]] = {
        at: [] for at in range(len(records)) if at not in {one.source.offset for one in log.rejects}
    }
    for out in log.outputs:
        found[out.source.offset].append((out.slot, case.read(out.slot, encoding, out.value)))
    assert found == expected, (
        f"run, {encoding}, aborts {aborts}, restarts {restarts}: {[r.message for r in log.rejects]}"
    )


def _compare_jet(case: Case, encoding: str) -> None:
    records = case.records[encoding]
    expected = case.of_engine(case.plain(encoding, case.good))
    with _quiet():
        outputs, failed = wired.in_jet(case.path, encoding, case.files, records)
    forms: Forms = {}
    for slot, data in outputs:
        forms.setdefault(slot, []).append(case.read(slot, encoding, data))
    assert (forms, failed) == expected, f"jet, {encoding}"


def _compare_score(case: Case) -> None:
    records = case.records["json"]
    words = ["score", str(case.path), "--rejects", str(case.folder / "rejects")]
    for name, path in case.files.items():
        words += ["--schema", f"{name}={path}"]
    simple = case.made.slots == [1]
    if not simple:
        for slot in case.made.slots:
            words += ["--output", f"{slot}={case.folder / f'out-{slot}'}"]
    _score(words, case.folder, records)
    if simple:
        kept = case.kept("json", case.good).values()
        expected = {1: [case.form(slot, datum) for one in kept for slot, datum in one.outputs]}
    else:
        expected, _ = case.of_engine(case.plain("json", case.good))
    forms = {}
    for slot in case.made.slots:
        path = case.folder / ("stdout" if simple else f"out-{slot}")
        lines = path.read_bytes().splitlines() if path.exists() else []
        forms[slot] = [case.read(slot, "json", line) for line in lines]
    assert forms == {slot: expected.get(slot, []) for slot in case.made.slots}, "score"


def _score(words: list[str], folder: Path, records: Sequence[bytes]) -> None:
    from stream_scorer.cli import main

    (folder / "stdin").write_bytes(b"".join(record + b"\n" for record in records))
    before = sys.stdin, sys.stdout, sys.stderr
    with (
        (folder / "stdin").open() as stdin,
        (folder / "stdout").open("w") as stdout,
        (folder / "stderr").open("w") as said,
    ):
        sys.stdin, sys.stdout, sys.stderr = stdin, stdout, said
        try:
            main(words)
        finally:
            sys.stdin, sys.stdout, sys.stderr = before


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        sys.modules.pop("model", None)
        yield
