"""stream-scorer run"""

from __future__ import annotations

import argparse
import logging
import re
import sys
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import Any

from stream_scorer.commands.show_acls import add_show_acls, show_acls
from stream_scorer.safe_text import say
from stream_scorer.secret_text import is_secret
from stream_scorer.service.settings import RunSettings
from stream_scorer.settings.declared import add_flags, load

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="module file, bundle directory or name of a shipped model")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file of the settings below")
    add_show_acls(parser)
    add_flags(parser, RunSettings)


def run(args: argparse.Namespace) -> int:
    from stream_scorer.service.lifeline import Lifeline
    from stream_scorer.service.supervisor import supervise, worker_command
    from stream_scorer.system.signals import stopping

    line = Lifeline.taken()
    with stopping(by=[SIGTERM] if line else [SIGTERM, SIGINT]) as signals:  # before the slow imports below
        settings = load(RunSettings, vars(args), args.config)
        # After the settings, so that an error in them is reported before the slow imports.
        from stream_scorer.system import logs

        logs.set_up(settings.log_level, settings.log_format)
        if args.show_acls:
            return _show_acls(args.model, settings)
        _warn_of_visible_secrets(vars(args))
        if settings.workers == 1 or line:
            from stream_scorer.commands.run_bar import bar
            from stream_scorer.service import app

            return app.serve(args.model, settings, None if settings.log_format == "json" else bar(), line)
    if signals.received:
        return signals.code
    commands = [worker_command(sys.argv[2:] + _worker_flags(settings, number)) for number in range(settings.workers)]
    return supervise(commands, settings.longest_step_s(), until_end=settings.until_end)


def _show_acls(model: str, settings: RunSettings) -> int:
    from stream_scorer.kafka.changelog import changelog_name
    from stream_scorer.model.locate import locate
    from stream_scorer.service.rights import run_rights, seems_stateful

    located = locate(model, settings.attachment, settings.trust())
    group = settings.group or located.module.stem
    stateful = settings.evaluate or seems_stateful(located.program)
    show_acls(run_rights(settings, group, stateful=stateful), settings)
    if settings.changelog and not stateful:
        topic = settings.changelog_topic or changelog_name(group, settings.input_topic)
        say(f"# The source of the model shows no state. If it has some: Read, Write and Create on the topic {topic}.")
    return 0


def _warn_of_visible_secrets(flags: Mapping[str, Any]) -> None:
    """Every user of a machine can read the command lines of all its processes."""
    seen = []
    for flag in ("kafka", "registry"):
        for key, _, value in (str(pair).partition("=") for pair in flags.get(flag, ())):
            if is_secret(key) and re.fullmatch("[a-z. ]+", key) and not value.strip().startswith("@"):
                seen.append(f"--{flag} {key.strip()}")
    if "@" in urllib.parse.urlsplit(flags.get("schema_registry", "")).netloc:
        seen.append("--schema-registry")
    if seen:
        log.warning(
            "%s: what is secret in it stands in the list of processes (ps). Give it as @FILE, or by a variable.",
            ", ".join(seen),
        )


def _worker_flags(settings: RunSettings, number: int) -> list[str]:
    """Flags that differ from worker to worker. They follow the user's flags, and the last of a flag wins."""
    flags = []
    if settings.http:
        flags += ["--http", str(settings.http_address().plus(number))]
    if member := settings.kafka.get("group.instance.id"):
        flags += ["--kafka", f"group.instance.id={member}-{number}"]
    return flags
