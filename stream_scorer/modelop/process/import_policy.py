"""Import policies: which libraries a model may import, and which are installed for it (rule `j.policy`)."""

from __future__ import annotations

import importlib
import logging
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from stream_scorer.errors import ModelError, SettingsError
from stream_scorer.model.imports import importable, prefixes
from stream_scorer.parsing import plain_yaml

log = logging.getLogger(__name__)

KINDS = ("prohibit", "warn", "install")
_INSTALL_S = 900
_installing = threading.Lock()


class Rule(NamedTuple):
    """What a policy says of one library. `kind`: prohibit, warn or install.

    command: of `install`, split into words; None: the default, `pip install LIBRARY`.
    """

    library: str
    kind: str
    command: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Policy:
    """rules: by library. text: the YAML they were read from, which clients may ask for."""

    rules: dict[str, Rule] = field(default_factory=dict)
    text: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read YAML: `library: prohibit|warn|install`, or `library: {policy: install, command: ...}`.

        Raises SettingsError.
        """
        entries = plain_yaml.load(text, "import policy")
        if entries is None:
            return cls({}, text)
        if not isinstance(entries, dict):
            raise SettingsError(
                f"import policy: it must map libraries to {', '.join(KINDS)}, and is a {type(entries).__name__}."
            )
        return cls({str(library): _rule(str(library), entry) for library, entry in entries.items()}, text)

    def rule(self, name: str) -> Rule | None:
        """Return the rule of a dotted name: its own, or else that of the nearest package above it."""
        return next((self.rules[prefix] for prefix in prefixes(name) if prefix in self.rules), None)

    def install(self, libraries: Iterable[str]) -> None:
        """Install those of the libraries that are missing. Blocks, for minutes if need be. Raises ModelError."""
        for library in libraries:
            with _installing:
                if not importable(library):
                    _install(self.rules[library])


def _rule(library: str, entry: Any) -> Rule:
    kind, command = (entry.get("policy"), entry.get("command")) if isinstance(entry, dict) else (entry, None)
    if kind not in KINDS or not isinstance(command, str | None):
        raise SettingsError(
            f"import policy: {library}: {repr(entry)[:200]} is none of {', '.join(KINDS)}, or {{policy: install, command: ...}}."
        )
    if command is not None and kind != "install":
        raise SettingsError(f"import policy: {library}: a command goes with policy install, not with {kind}.")
    if "\0" in (command or ""):
        raise SettingsError(f"import policy: {library}: command {command!r} has a zero byte.")
    try:
        return Rule(library, kind, None if command is None else tuple(shlex.split(command)))
    except ValueError as error:
        raise SettingsError(f"import policy: {library}: command {str(command)[:200]!r}: {error}.") from error


def _install(rule: Rule) -> None:
    words = list(rule.command or ("pip", "install", rule.library.partition(".")[0]))
    if words[:1] in (["pip"], ["pip3"]):
        # Into the environment that the model imports from. Without -P a folder `pip` in the working directory would run.
        words[:1] = [sys.executable, "-P", "-m", "pip"]
    shown = " ".join(rule.command or ("pip", "install", rule.library))
    log.info("import policy: %s", shown)
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_INSTALL_S, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:  # ValueError: a NUL in the command
        raise ModelError(f"import policy: {rule.library}: {shown!r} could not be run: {error}.") from error
    importlib.invalidate_caches()
    if done.returncode or not importable(rule.library):
        said = (done.stderr or done.stdout).strip().splitlines()
        raise ModelError(
            f"import policy: {rule.library}: {shown!r} ended with {done.returncode}"
            + ("" if done.returncode else f", and there is still no module {rule.library}")
            + (f": {said[-1].strip()}" if said else ".")
        )
