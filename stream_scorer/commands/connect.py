"""stream-scorer connect"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from stream_scorer.errors import SettingsError, Unavailable
from stream_scorer.modelop.client import saved
from stream_scorer.modelop.client.http import Server
from stream_scorer.modelop.client.options import read_token, vendor_style
from stream_scorer.safe_text import say
from stream_scorer.settings.arguments import number

prepare = vendor_style


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", help=f"address of the fleet, for example {saved.DEFAULT_URL}")
    parser.add_argument("--token", type=Path, metavar="FILE", help="file that holds the token, or USER:PASSWORD")
    parser.add_argument(
        "--ca", type=Path, metavar="FILE", help="file of certificates, in PEM, to trust besides the system's"
    )
    parser.add_argument("--insecure", action="store_true", help="accept any certificate")
    parser.add_argument("--nowait", action="store_true", help="do not wait for the server to answer")
    parser.add_argument(
        "--wait",
        type=number(0),
        default=60,
        metavar="SECONDS",
        help="longest wait for the server to answer (default: 60)",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="print what was done")


def run(args: argparse.Namespace) -> int:
    server = Server(args.url, token=read_token(args.token) if args.token else None, insecure=args.insecure, ca=args.ca)
    if not args.nowait:
        _wait(server, args.wait)
    file = saved.save(
        saved.Saved(
            server.url,
            str(args.token.resolve()) if args.token else None,
            str(args.ca.resolve()) if args.ca else None,
            args.insecure,
        )
    )
    if args.verbose:
        say(f"connected to {server.url}, saved in {file}")
    return 0


def _wait(server: Server, seconds: float) -> None:
    """Block until Connect, or an engine without Connect, is healthy. Raises Unavailable after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            status = server.request("GET", "/api/1/service/connect/1/health").status
            if status == 404:
                status = server.request("GET", "/1/health").status
            if status == 200:
                return
            reason = f"{server.url} answered {status}"
        except Unavailable as error:
            reason = str(error)
        if "answered 401" in reason:
            raise SettingsError(f"{reason}: it wants a token. Give --token FILE.")
        if "certificate" in reason or time.monotonic() > deadline:
            raise Unavailable(reason)
        time.sleep(0.25)
