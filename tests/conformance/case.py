"""Conformance cases: one TOML file each, or one file for a table of them.

A file says what goes in and what must come out, wherever the model runs:

    rules = ["b.slot-datum"]            the rules it shows, of rules.toml
    about = "..."                       a line for people, if the rules do not say it all
    only, because                       "engine" or "score", where the other cannot do it, and why
    model = '''...'''                   the module's source
    [schemas]                           Avro JSON by name
    [attachments."x.zip"]               archives: text by path
    [slots.N] stream                    descriptor; without a Transport it is a file for `score`, REST for the engine
    [slots.N] input, output             records, one a line, or an array of them; with `hex` as hexadecimal
    [slots.N] whole                     input or output is the bytes of the stream, framed
    [slots.N] pieces                    ... which the engine is sent in pieces of so many bytes
    [slots.N] any_order                 outputs may come in any order
    [slots.N] interpreted               JSON: members that the answer to a dry-run attach must have
    [rejected] N = {encoding, schema}   how many records of a slot are rejected, and why (20 of a slot at most: more in one
                                        batch are counted by an engine, and not shown)
    [fails] error, where, input         the model fails: its last line and the place (patterns), members of its input
    refused                             the load or an attach is refused with this line (a pattern)
    runs = false                        only what is in `slots` is attached, and nothing is sent
    console = [...]                     patterns of lines that the model's console must have, in order
    absent = [...]                      patterns that it must not have
    not_plain                           why a plain host of Python cannot run it
    verify, states, jets, policy, mtype, restored     of an engine; see by_engine.py
    [[rows]] name, ...                  one case each; keys as above are laid over the file's, others replace <key> in it

Descriptors, schemas and expected answers are JSON in TOML's strings, as clients send them.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CASES = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class Slot:
    stream: Any = None
    input: list[bytes] | None = None
    output: list[bytes] | None = None
    whole: bool = False
    pieces: int = 0
    any_order: bool = False
    interpreted: Any = None

    @property
    def encoding(self) -> str | None:
        given = self.stream.get("Encoding") if isinstance(self.stream, dict) else "json"
        given = given.get("Type") if isinstance(given, dict) else given
        return given.lower() if isinstance(given, str) else given

    @property
    def own_transport(self) -> bool:
        return self.stream is not None and not (isinstance(self.stream, dict) and "Transport" not in self.stream)


@dataclass(frozen=True)
class Case:
    name: str
    file: Path
    rules: tuple[str, ...]
    model: str
    slots: Mapping[int, Slot]
    about: str = ""
    only: str = ""
    because: str = ""
    schemas: Mapping[str, str] = field(default_factory=dict)
    attachments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    rejected: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    fails: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""
    runs: bool = True
    console: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    verify: str = ""
    states: tuple[str, ...] = ()
    jets: int = 1
    policy: str = ""
    mtype: str = "python3"
    restored: Mapping[int, Slot] = field(default_factory=dict)
    not_plain: str = ""

    @property
    def simple(self) -> bool:
        """Standard input and output will do for `score`."""
        return set(self.slots) <= {0, 1} and not self.fails and all(one.stream is None for one in self.slots.values())


def load_cases() -> list[Case]:
    return [case for path in sorted(CASES.rglob("*.toml")) for case in read(path)]


def read(path: Path) -> Iterator[Case]:
    """Raises ValueError where a file has a key that nobody knows."""
    given = tomllib.loads(path.read_text())
    rows = given.pop("rows", None)
    stem = path.relative_to(CASES).with_suffix("").as_posix()
    if rows is None:
        yield _case(stem, path, given)
        return
    for row in rows:
        laid, words = _told_apart(row)
        yield _case(f"{stem}[{words.pop('name')}]", path, _merged(_filled(given, words), _filled(laid, words)))


def _told_apart(row: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    own = {"name", *(key for key in row if key not in Case.__dataclass_fields__)}
    return {key: row[key] for key in row if key not in own}, {key: str(row[key]) for key in own}


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return re.sub(r"<(\w+)>", lambda found: words.get(found[1], found[0]), value)
    if isinstance(value, list):
        return [_filled(one, words) for one in value]
    if isinstance(value, dict):
        return {key: _filled(one, words) for key, one in value.items()}
    return value


def _merged(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return {key: _merged(below.get(key), above[key]) if key in above else below[key] for key in {**below, **above}}
    return above


def _case(name: str, path: Path, given: dict[str, Any]) -> Case:
    unknown = set(given) - set(Case.__dataclass_fields__)
    if unknown:
        raise ValueError(f"{path}: no key {sorted(unknown)[0]!r}")
    for key in ("slots", "restored"):
        given[key] = {int(slot): _slot(path, one) for slot, one in given.get(key, {}).items()}
    for key in ("rules", "console", "absent", "states"):
        given[key] = tuple(given.get(key, ()))
    return Case(name=name, file=path, **given)


def _slot(path: Path, given: dict[str, Any]) -> Slot:
    hexadecimal = given.pop("hex", False)
    for way in ("input", "output"):
        if way in given:
            given[way] = _records(given[way], hexadecimal, given.get("whole", False))
    for key in ("stream", "interpreted"):
        if key in given:
            given[key] = json.loads(given[key])
    if unknown := set(given) - set(Slot.__dataclass_fields__):
        raise ValueError(f"{path}: no key {sorted(unknown)[0]!r} of a slot")
    return Slot(**given)


def _records(given: str | list[str], hexadecimal: bool, whole: bool) -> list[bytes]:
    texts = given if isinstance(given, list) else [given] if whole else given.splitlines()
    return [bytes.fromhex(text) if hexadecimal else text.encode() for text in texts]
