"""The parts of the documentation that are made from the code. `python -m tests.support.docs` writes them."""

from __future__ import annotations

import argparse
import ast
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from stream_scorer.arguments import Parser
from stream_scorer.commands import dead_letters, replay, tail
from stream_scorer.kafka_settings import KafkaSettings
from stream_scorer.run_settings import RunSettings
from stream_scorer.server.settings import EngineSettings
from stream_scorer.settings import ENV_PREFIX

ROOT = Path(__file__).parents[2]
DESIGN, CONFIGURATION = ROOT / "docs" / "DESIGN.md", ROOT / "docs" / "configuration.md"
_BAKED = """
An engine image with a model baked in says so by the variables of ModelOp's standalone engines: `MODEL=PATH`,
`SCHEMAS=NAME:PATH;NAME:PATH`, `STREAMS=SLOT:PATH;SLOT:PATH`, `ATTACHMENTS=PATH;PATH`, `FASTSCORE_CONFIG=PATH` for the
fleet's configuration, `CONNECT_PREFIX=URL` as above.
"""
_HEAD = "| file | what it is for |\n|---|---|\n"


def design() -> str:
    """docs/DESIGN.md with the table of files as they are."""
    rows = []
    for path in sorted([*ROOT.glob("stream_scorer/**/*.py"), *ROOT.glob("training/**/*.py")]):
        text = ast.get_docstring(ast.parse(path.read_text()))
        if text:
            rows.append(f"| `{path.relative_to(ROOT)}` | {text.splitlines()[0]} |\n")
    return DESIGN.read_text().partition(_HEAD)[0] + _HEAD + "".join(rows)


def _settings(cls: type, without: type | None = None) -> str:
    rows = []
    left_out = {field.name for field in dataclasses.fields(without)} if without else set()
    for field in dataclasses.fields(cls):
        if field.name in left_out:
            continue
        default = "" if field.default in (None, "", dataclasses.MISSING) else f"`{field.default}`"
        choices = ", ".join(f"`{choice}`" for choice in field.metadata["choices"])
        name = field.name.replace("_", "-")
        rows.append(f"| `{name}` | {default} | {field.metadata['help']}{f' ({choices})' if choices else ''} |\n")
    return "| setting | default | what it does |\n|---|---|---|\n" + "".join(rows)


_HOW = f"""# Settings

Each is a flag (`--input-topic`), a key of the TOML file given by `--config` (`input-topic = "prices"`), and a
variable (`{ENV_PREFIX}INPUT_TOPIC`). Flags win over variables, variables over the file, the file over the default.
A variable that looks like a setting and is none is warned of.

A setting of KEY=VALUE pairs (`kafka`, `schema`) takes them from all three places together:

| where | how | commas |
|---|---|---|
| flag | `--kafka KEY=VALUE`, once for each pair | part of the value |
| TOML | a table: `[kafka]`, then a line `sasl.username = "x"` for each pair | part of the value |
| variable | `KEY=VALUE,KEY=VALUE`, or a pair a line | `\\,` within a value; `\\\\` is a backslash |

The key ends at the first `=`; any more are part of the value. The value `@FILE` is read from the file, so
that secrets stay out of command lines; `@@` begins a value with `@`.

# Connection to Kafka

Of all commands that talk to Kafka: `run`, `replay`, `tail` and `dead-letters`. They take `--config FILE` too: a file
(or environment) made for `run` serves them all. Of its other settings `tail` takes `output-topic` and
`evaluation-topic`, and `dead-letters` takes `input-topic` and `dead-letter-topic`; the rest is left alone.

"""


def _flags(command: ModuleType, words: Sequence[str] = ()) -> str:
    """The flags that are no settings, as the command itself tells them."""
    parser: argparse.ArgumentParser = Parser(prog="x")
    command.add_arguments(parser)
    for word in words:
        parser = next(action.choices[word] for action in parser._actions if isinstance(action.choices, dict))
    rows = []
    for action in parser._actions:
        if action.default is argparse.SUPPRESS or action.dest == "config" or isinstance(action.choices, dict):
            continue
        name = action.option_strings[-1] if action.option_strings else action.metavar
        choices = f" (`{'`, `'.join(action.choices)}`)" if action.choices else ""
        rows.append(f"| `{name}` | {(action.help or '') % vars(action)}{choices} |\n")
    return "| argument | what it does |\n|---|---|\n" + "".join(rows)


def configuration() -> str:
    """docs/configuration.md: every setting of the commands that talk to Kafka, and of `engine`."""
    return (
        _HOW
        + _settings(KafkaSettings)
        + "\n# Settings of `stream-scorer run`\n\nBesides the connection:\n\n"
        + _settings(RunSettings, without=KafkaSettings)
        + "\n# Arguments of `stream-scorer replay`\n\nBesides the connection, on the command line only:\n\n"
        + _flags(replay)
        + "\n# Arguments of `stream-scorer tail`\n\nBesides the connection and the settings of `run` that it takes:\n\n"
        + _flags(tail)
        + "\n# Arguments of `stream-scorer dead-letters`\n\nBesides the connection and the settings of `run` that it takes:\n"
        + "".join(f"\n`dead-letters {verb}`\n\n{_flags(dead_letters, [verb])}" for verb in ("list", "show", "resubmit"))
        + "\n# Settings of `stream-scorer engine`\n\nGiven in the same three places.\n\n"
        + _settings(EngineSettings)
        + _BAKED
    )


if __name__ == "__main__":
    DESIGN.write_text(design())
    CONFIGURATION.write_text(configuration())
