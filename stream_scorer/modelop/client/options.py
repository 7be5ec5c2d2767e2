"""The flags that all verbs of the engine's client share, and options in the style of the vendor's command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from stream_scorer.errors import SettingsError
from stream_scorer.modelop.client import saved
from stream_scorer.modelop.client.fleet_client import ENGINE, Fleet
from stream_scorer.modelop.client.http import Server
from stream_scorer.settings.declared import ENV_PREFIX

WAIT_S = 10.0
"""How long a verb retries if the port refuses connections, as the port of an engine does until it serves."""
_BARE = {"-json": "--json", "-wait": "--wait", "-nowait": "--nowait", "-preinstall": "--preinstall"}
_VALUED = ("-type:", "-count:", "-since:", "-until:", "-schema:")


def vendor_style(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with options such as `-type:python3` and `-json` as flags behind the words.

    >>> vendor_style(["add", "-type:python3", "m", "m.py"])
    ['add', 'm', 'm.py', '--type=python3']
    """
    words, flags = [], []
    for argument in arguments:
        if argument in _BARE:
            flags.append(_BARE[argument])
        elif argument.startswith(_VALUED):
            name, _, value = argument.partition(":")
            flags.append(f"-{name}={value}")
        else:
            words.append(argument)
    return words + flags


def add_server_flags(parser: argparse.ArgumentParser, *, machine: bool = False) -> None:
    """Add the flags that say where the server is; with `machine`, --json too."""
    group = parser.add_argument_group("server")
    group.add_argument(
        "--server", metavar="URL", help=f"the fleet's or engine's address (default: {ENV_PREFIX}SERVER, "
        f"what `stream-scorer connect` was given, {saved.DEFAULT_URL})"
    )  # fmt: skip
    group.add_argument(
        "--engine", metavar="NAME", help="engine to use (default: the one that `use` chose, else the first healthy one)"
    )
    group.add_argument("--token", type=Path, metavar="FILE", help="file that holds the token, or USER:PASSWORD")
    group.add_argument(
        "--ca", type=Path, metavar="FILE", help="file of CA certificates to trust in addition to the system's"
    )
    group.add_argument("--insecure", action="store_true", help="accept any certificate")
    parser.add_argument("-v", "--verbose", action="store_true", help="print what was done")
    if machine:
        parser.add_argument("--json", action="store_true", help="print JSON")


def fleet_of(args: argparse.Namespace) -> Fleet:
    """Return the fleet that flags, environment or the saved file name, in this order. Opens no socket.

    Raises SettingsError.
    """
    saved_settings = saved.load()
    url = args.server or os.environ.get(ENV_PREFIX + "SERVER") or saved_settings.url
    same = url == saved_settings.url  # what was saved for one server is not used for another
    token = args.token or _path(os.environ.get(ENV_PREFIX + "TOKEN")) or (_path(saved_settings.token) if same else None)
    ca = args.ca or (_path(saved_settings.ca) if same else None)
    preferred = dict(saved_settings.preferred) if same else {}
    if args.engine:
        preferred[ENGINE] = args.engine
    server = Server(
        url,
        token=read_token(token) if token else None,
        insecure=args.insecure or (same and saved_settings.insecure),
        ca=ca,
        wait_s=WAIT_S,
    )
    return Fleet(server, preferred)


def target_of(args: argparse.Namespace) -> str | None:
    """Return the instance that --engine or `use` names, for the verbs that work on any instance."""
    return args.engine or saved.load().target


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def read_token(file: Path) -> str:
    """Return the token in a file. Raises SettingsError."""
    try:
        token = file.read_text().strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"--token {file}: cannot be read ({error}).") from error
    if not token:
        raise SettingsError(f"--token {file}: the file is empty.")
    return token
