"""Types for arguments of commands: numbers within bounds and writable folders. Errors are one line."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from stream_scorer.errors import SettingsError
from stream_scorer.parsing.spelling import did_you_mean
from stream_scorer.secret_text import HIDDEN, is_secret

MAX_NUMBER = 2**31 - 1
"""The largest number in any argument or setting: librdkafka, which gets most of them, counts in 32 bits."""
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class Parser(argparse.ArgumentParser):
    """Raises its errors as SettingsError: one line, with the nearest name that exists.

    If a secret stands in the command, the line has no word of it but names of flags: a blank in a password makes two words.
    """

    _words: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._words = [str(word) for word in (sys.argv[1:] if args is None else args)]
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        if any(map(is_secret, self._words)):
            message = _without_words(message, self._words)
        choices = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
        unknown = re.search(r"unrecognized arguments: (\S+)", message)
        near = ""
        if choices:
            near = did_you_mean(choices[1], re.findall(r"[\w-]+", choices[2]))
        elif unknown:
            near = did_you_mean(unknown[1].partition("=")[0], _flags(self))
        raise SettingsError(f"{message}.{near} `{self.prog} --help` lists them.")


def _without_words(message: str, words: Iterable[str]) -> str:
    values = {word.partition("=")[2] if word.startswith("--") else word for word in words} - {""}
    for value in sorted(values, key=len, reverse=True):
        message = re.sub(rf"(?<!\S){re.escape(value)}(?!\S)|(?<=['=]){re.escape(value)}(?!\w)", HIDDEN, message)
    return message


def _flags(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _flags(inner)


def whole_number(low: int, high: int = MAX_NUMBER) -> Callable[[str], int]:
    """An argparse type: a whole number from `low` to `high`, both included."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text[:40]} is not between {low} and {high:,}")
        return value

    return parse


def number(low: float, high: float = MAX_NUMBER, *, open_ends: bool = False) -> Callable[[str], float]:
    """An argparse type: a finite number from `low` to `high`; `open_ends` excludes both bounds."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isnan(value):
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number")
        if not low <= value <= high or (open_ends and value in (low, high)):
            words = ("above", "and below") if open_ends else ("from", "to")
            raise argparse.ArgumentTypeError(f"{text[:40]} is not {words[0]} {low} {words[1]} {high:,}")
        return value

    return parse


def writable_folder(text: str) -> Path:
    """An argparse type: a folder that exists or can be made, and can be written. Checked before hours of work, not after."""
    import tempfile  # slow to import, and few commands write folders

    path = Path(text)
    if not text:
        raise argparse.ArgumentTypeError("expected the name of a folder, found an empty text")
    existing = next(part for part in (path.absolute(), *path.absolute().parents) if part.exists() or part.is_symlink())
    if not existing.is_dir():
        raise argparse.ArgumentTypeError(f"{existing} is not a folder")
    try:
        with tempfile.TemporaryFile(dir=existing):  # leaves nothing behind; permissions alone do not answer
            return path
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{existing} cannot be written ({error.strerror})") from None
