"""stream-scorer engine"""

from __future__ import annotations

import argparse
from pathlib import Path

from stream_scorer.errors import SettingsError
from stream_scorer.modelop.client.items import done, verb
from stream_scorer.modelop.client.options import fleet_of, vendor_style
from stream_scorer.modelop.client.show import print_json
from stream_scorer.safe_text import one_line, say

prepare = vendor_style
_DONE = {"pause": "paused", "unpause": "running again", "reset": "reset"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Without a verb: serve ModelOp's REST API, a small fleet on one port. With a verb: ask a running engine."
    )
    _add_server_settings(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="serve|inspect|pause|unpause|reset")
    text = "serve the API, as without a verb"
    _add_server_settings(verbs.add_parser("serve", help=text, description=text[0].upper() + text[1:] + "."))
    verb(verbs, "inspect", "print the state of an engine", machine=True)
    verb(verbs, "pause", "stop the data flow of an engine until `unpause`")
    verb(verbs, "unpause", "resume the data flow of an engine")
    verb(verbs, "reset", "unload the model and detach all streams of an engine")


def _add_server_settings(parser: argparse.ArgumentParser) -> None:
    from stream_scorer.modelop.server.settings import EngineSettings
    from stream_scorer.settings.declared import add_flags

    parser.add_argument(
        "--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="TOML file of the settings below"
    )
    add_flags(parser, EngineSettings)


def run(args: argparse.Namespace) -> int:
    if args.verb in (None, "serve"):
        return _serve(args)
    engine = fleet_of(args).engine()
    if args.verb == "inspect":
        state = engine.get("/2/engine/state", subject="engine state")["state"].upper()
        if args.json:
            print_json({"state": state})
        else:
            say(one_line(state))
        return 0
    engine.call("POST", f"/2/engine/{args.verb}", subject=f"engine {args.verb}")
    done(args, f"{engine.name} is {_DONE[args.verb]}")
    return 0


def _serve(args: argparse.Namespace) -> int:
    from stream_scorer.modelop.server.settings import EngineSettings
    from stream_scorer.settings.declared import load

    settings = load(EngineSettings, vars(args), getattr(args, "config", None))
    from stream_scorer.system import logs

    logs.set_up(settings.log_level, settings.log_format)
    try:
        from stream_scorer.modelop.server.serve import serve
    except ModuleNotFoundError as error:
        raise SettingsError(f"the engine needs {error.name}: pip install 'stream-scorer[engine]'.") from error
    return serve(settings)
