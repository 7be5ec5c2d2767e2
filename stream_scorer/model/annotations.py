"""Smart comments: `# PREFIX.TAG: VALUE` on a line of its own, anywhere in a module file.

ModelOp's prefixes are accepted in any case. `stream-scorer.` is our own prefix, which a ModelOp engine ignores. Comments
apply in the order of the lines; a later one overrides an earlier one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from stream_scorer.errors import ModelError

_LINE = re.compile(
    r"^\s*#+\s*(?P<prefix>(?ai:fastscore|modelop center|modelop|odg|stream-scorer))"
    r"\.(?P<tag>[\w$-]+(?:\.[\w$-]+)*)\s*:(?P<value>.*)$"
)
_ROLE = re.compile(
    r"^\s*#+\s*(?:fastscore|modelop center|modelop|odg)\.(?P<role>init|score|metrics|train)\s*$",
    re.IGNORECASE | re.ASCII,
)
_DEF = re.compile(r"^\s*(?:async\s+)?def\s+(?P<name>\w+)")
_BOOLEAN = {"true": True, "yes": True, "false": False, "no": False}
_DEPRECATED_SETS = {"none": (), "input": (0,), "output": (1,), "both": (0, 1)}
UNUSED_ACTIONS = ("none", "unused")
_MAX_DIGITS = 9
_MAX_SLOTS = 256
_MAX_SHOWN = 80


@dataclass(frozen=True)
class Annotations:
    """What the smart comments of a module say. Even slots are inputs, odd slots outputs; by default 0 and 1 are in use.

    schemas: name of the schema of each slot.
    recordsets: slots with record sets.
    actions: name of the callback of an input slot; without one it is "action". "none" or "unused" makes the model explicit.
    slots_in_use: numbers of the slots.
    module_attached: values of `module-attached` comments.
    snapshots: "none" or "eof".
    state, window, batch, compat: values of our own comments, which README.md explains; None without the comment.
    roles: name of the function of each role of version 2.x ("init", "score", "metrics", "train").
    """

    schemas: dict[int, str] = field(default_factory=dict)
    recordsets: frozenset[int] = frozenset()
    actions: dict[int, str] = field(default_factory=dict)
    slots_in_use: frozenset[int] = frozenset((0, 1))
    module_attached: tuple[str, ...] = ()
    snapshots: str = "none"
    state: tuple[str, ...] | None = None
    window: int | None = None
    batch: tuple[str, str] | None = None
    compat: str | None = None
    roles: dict[str, str] = field(default_factory=dict)

    @property
    def inputs(self) -> list[int]:
        return [slot for slot in sorted(self.slots_in_use) if slot % 2 == 0]

    @property
    def outputs(self) -> list[int]:
        return [slot for slot in sorted(self.slots_in_use) if slot % 2]

    @property
    def explicit(self) -> bool:
        """Whether the module body does all the work: it reads its slots itself, and has no callbacks."""
        return any(self.actions.get(slot, "").lower() in UNUSED_ACTIONS for slot in self.inputs)


def parse(source: str, file: str = "<module>") -> Annotations:
    """All smart comments of a module's source. Raises ModelError with file:line for a wrong value."""
    reader = _Reader(file)
    for number, line in enumerate(source.split("\n"), 1):  # not at other characters: Python counts its lines so
        if match := _LINE.match(line):
            reader.take(number, match["prefix"].lower(), match["tag"], match["value"].strip())
        elif match := _ROLE.match(line):
            reader.role = match["role"].lower()
        elif reader.role and (match := _DEF.match(line)):
            reader.roles.setdefault(reader.role, match["name"])
            reader.role = None
    return reader.finish()


class _Reader:
    """Collects the comments line by line."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._in_use = {0, 1}
        self._per_slot: list[tuple[str, str, str]] = []  # tag, selector, value, in order
        self._dropped: dict[int, int] = {}  # by slot: length of _per_slot when the slot was set to unused
        self._attached: list[str] = []
        self._plain: dict[str, tuple[int, str]] = {}  # line and value of comments that belong to no slot, by tag
        self.role: str | None = None  # a role comment was read; the function it belongs to is the next one
        self.roles: dict[str, str] = {}

    def take(self, line: int, prefix: str, tag: str, value: str) -> None:
        head, _, selector = tag.partition(".")
        head = head.lower()
        if prefix == "stream-scorer":
            self._plain["ours." + tag.lower()] = line, value
        elif head in ("schema", "action", "slot"):
            self._slot(line, head, selector or {"schema": "$all", "action": "$in", "slot": "$all"}[head], value)
        elif head == "recordsets":
            self._recordsets(line, selector, value)
        elif head in ("input", "output") and not selector:
            self._slot(line, "schema", "0" if head == "input" else "1", value)
        elif head == "module-attached":
            self._attached.append(value)
        elif head == "snapshots":
            if value.lower() not in ("none", "eof"):
                raise self._wrong(line, tag, value, "none or eof")
            self._plain["snapshots"] = line, value.lower()

    def _recordsets(self, line: int, selector: str, value: str) -> None:
        if not selector and value.lower() in _DEPRECATED_SETS:
            for slot in (0, 1):
                self._slot(line, "recordsets", str(slot), str(slot in _DEPRECATED_SETS[value.lower()]).lower())
            return
        if value.lower() not in _BOOLEAN:
            raise self._wrong(line, "recordsets", value, "true, yes, false or no")
        self._slot(line, "recordsets", selector or "$all", value.lower())

    def _slot(self, line: int, tag: str, selector: str, value: str) -> None:
        selector = selector.lower()
        if _is_number(selector):
            slot = int(selector)
            if tag == "slot":
                self._use(line, slot, value)
                return
            if tag == "action" and slot % 2:
                raise self._wrong(line, f"action.{slot}", value, "an even slot: odd ones are outputs")
            self._add(line, slot)
        elif selector not in ("$all", "$in", "$out", "$input", "$output"):
            raise ModelError(
                f"{self._file}:{line}: slot {_short(selector)} is neither a number nor $all, $in or $out. "
                "Named slots are not supported: give the slot its number."
            )
        elif tag == "slot":
            if value.lower() != "unused":
                raise self._wrong(line, f"slot.{selector}", value, "unused; in-use needs a number")
            self._drop(_selected(selector, self._in_use))
            return
        self._per_slot.append((tag, selector, value))

    def _add(self, line: int, slot: int) -> None:
        self._in_use.add(slot)
        if len(self._in_use) > _MAX_SLOTS:
            raise ModelError(f"{self._file}:{line}: more than {_MAX_SLOTS:,} slots are in use.")

    def _use(self, line: int, slot: int, value: str) -> None:
        if value.lower() == "in-use":
            self._add(line, slot)
        elif value.lower() == "unused":
            self._drop([slot])
        else:
            raise self._wrong(line, f"slot.{slot}", value, "in-use or unused")

    def _drop(self, slots: Iterable[int]) -> None:
        """Set slots to unused. Comments on them from earlier lines no longer count."""
        dropped = set(slots)
        self._in_use -= dropped
        self._dropped.update(dict.fromkeys(dropped, len(self._per_slot)))

    def finish(self) -> Annotations:
        schemas: dict[int, str] = {}
        actions: dict[int, str] = {}
        sets: dict[int, bool] = {}
        last = {(tag, selector): number for number, (tag, selector, _) in enumerate(self._per_slot)}
        for number, (tag, selector, value) in enumerate(self._per_slot):
            overridden = last[tag, selector] != number
            if overridden or (_is_number(selector) and number < self._dropped.get(int(selector), 0)):
                continue
            for slot in _selected(selector, self._in_use):
                if tag == "schema":
                    schemas[slot] = value
                elif tag == "action" and slot % 2 == 0:
                    actions[slot] = value
                elif tag == "recordsets":
                    sets[slot] = _BOOLEAN[value]
        annotations = Annotations(
            schemas=schemas,
            recordsets=frozenset(slot for slot, on in sets.items() if on),
            actions=actions,
            slots_in_use=frozenset(self._in_use),
            module_attached=tuple(self._attached),
            snapshots=self._plain.get("snapshots", (0, "none"))[1],
            state=self._names("state"),
            window=self._window(),
            batch=self._batch(),
            compat=self._compat(),
            roles=self.roles,
        )
        if annotations.explicit:
            self._check_explicit(annotations)
        return annotations

    def _check_explicit(self, annotations: Annotations) -> None:
        for slot in annotations.inputs:
            name = annotations.actions.get(slot, "action")
            if name.lower() not in UNUSED_ACTIONS:
                raise ModelError(
                    f"{self._file}: slot {slot} has the callback {name}() and another input has none. A model "
                    "either takes all its inputs by callbacks or reads all of them by fastscore.io.Slot: write "
                    "'# fastscore.action: unused', or name a callback for each."
                )

    def _names(self, tag: str) -> tuple[str, ...] | None:
        if "ours." + tag not in self._plain:
            return None
        line, value = self._plain["ours." + tag]
        names = tuple(name.strip() for name in value.split(",") if name.strip())
        for name in names:
            if not name.isidentifier():
                raise self._wrong(
                    line, f"stream-scorer.{tag}", value, "a list of names of globals, separated by commas"
                )
        return names

    def _window(self) -> int | None:
        if "ours.window" not in self._plain:
            return None
        line, value = self._plain["ours.window"]
        if not _is_number(value) or int(value) < 1:
            raise self._wrong(line, "stream-scorer.window", value, "a number of inputs, from 1")
        return int(value)

    def _batch(self) -> tuple[str, str] | None:
        names = self._names("batch")
        if names is None:
            return None
        if len(names) != 2:
            line, value = self._plain["ours.batch"]
            raise self._wrong(line, "stream-scorer.batch", value, "two functions: PUSH, PREDICT")
        return names[0], names[1]

    def _compat(self) -> str | None:
        if "ours.compat" not in self._plain:
            return None
        line, value = self._plain["ours.compat"]
        if value.lower() not in ("tf1", "none"):
            raise self._wrong(line, "stream-scorer.compat", value, "tf1 or none")
        return value.lower()

    def _wrong(self, line: int, tag: str, value: str, expected: str) -> ModelError:
        return ModelError(f"{self._file}:{line}: {tag}: {_short(value)} is not {expected}.")


def _is_number(text: str) -> bool:
    """Whether it is ASCII digits only, and no more of them than a slot or window can need."""
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


def _short(text: str) -> str:
    return repr(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}...")


def _selected(selector: str, in_use: Iterable[int]) -> list[int]:
    if _is_number(selector):
        return [int(selector)]
    if selector in ("$in", "$input"):
        return sorted(slot for slot in in_use if slot % 2 == 0)
    if selector in ("$out", "$output"):
        return sorted(slot for slot in in_use if slot % 2)
    return sorted(in_use)
