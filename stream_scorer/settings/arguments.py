"""Arguments of commands: numbers within bounds, folders that can be written, and errors in one line."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from stream_scorer.errors import SettingsError
from stream_scorer.parsing.spelling import did_you_mean

MOST = 2**31 - 1
"""Largest number of any argument or setting: what stands behind them, librdkafka above all, counts in 32 bits."""
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class Parser(argparse.ArgumentParser):
    """Its errors are SettingsErrors: one line, with the nearest of what there is."""

    def error(self, message: str) -> NoReturn:
        choices = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
        unknown = re.search(r"unrecognized arguments: (\S+)", message)
        near = ""
        if choices:
            near = did_you_mean(choices[1], re.findall(r"[\w-]+", choices[2]))
        elif unknown:
            near = did_you_mean(unknown[1].partition("=")[0], _flags(self))
        raise SettingsError(f"{message}.{near} `{self.prog} --help` tells what there is.")


def _flags(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _flags(inner)


def whole(low: int, high: int = MOST) -> Callable[[str], int]:
    """The type of a whole number from `low` to `high`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text[:40]} is not between {low} and {high:,}")
        return value

    return parse


def number(low: float, high: float = MOST, *, open_ends: bool = False) -> Callable[[str], float]:
    """The type of a finite number from `low` to `high`; with `open_ends` neither of the two."""

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


def new_folder(text: str) -> Path:
    """The type of a folder to write: told before the work of hours, not after it."""
    import tempfile  # only few commands write folders

    path = Path(text)
    if not text:
        raise argparse.ArgumentTypeError("it has no name")
    there = next(one for one in (path.absolute(), *path.absolute().parents) if one.exists() or one.is_symlink())
    if not there.is_dir():
        raise argparse.ArgumentTypeError(f"{there} is not a folder")
    try:
        with tempfile.TemporaryFile(dir=there):  # which leaves nothing behind; permissions alone do not tell
            return path
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{there} cannot be written ({error.strerror})") from None
