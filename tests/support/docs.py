"""The parts of the documentation that are made from the code. `python -m tests.support.docs` writes them."""

from __future__ import annotations

import argparse
import ast
import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from stream_scorer.commands import dead_letters, replay, tail
from stream_scorer.modelop.server.settings import EngineSettings
from stream_scorer.service.settings import RunSettings
from stream_scorer.settings.arguments import Parser
from stream_scorer.settings.declared import ENV_PREFIX
from stream_scorer.settings.kafka import KafkaSettings
from tests.support import values as rows

ROOT = Path(__file__).parents[2]
PAGES = [
    path for pattern in ("*.md", "docs/*.md", "*/README.md", "docker/extra/*.md") for path in sorted(ROOT.glob(pattern))
]
"""Every page that people read."""
DESIGN, CONFIGURATION, VALUES = (ROOT / "docs" / f"{name}.md" for name in ("DESIGN", "configuration", "values"))
_BAKED = """
An engine image with a model baked in says so by the variables of ModelOp's standalone engines: `MODEL=PATH`,
`SCHEMAS=NAME:PATH;NAME:PATH`, `STREAMS=SLOT:PATH;SLOT:PATH`, `ATTACHMENTS=PATH;PATH`, `FASTSCORE_CONFIG=PATH` for the
fleet's configuration, `CONNECT_PREFIX=URL` as above.
"""
_HEAD = "| room | what it is for |\n|---|---|\n"


def design() -> str:
    """docs/DESIGN.md with the table of rooms as they are: each folder with the first line of its docstring, and each file
    that stands in none."""
    rows = []
    files = [
        *ROOT.glob("stream_scorer/*.py"),
        *ROOT.glob("stream_scorer/**/__init__.py"),
        *ROOT.glob("training/*/__init__.py"),
    ]
    for path in sorted(set(files)):
        text = ast.get_docstring(ast.parse(path.read_text()))
        room = path.relative_to(ROOT)
        name = f"{room.parent}/" if path.name == "__init__.py" else str(room)
        if text:
            rows.append(f"| `{name}` | {text.splitlines()[0]} |\n")
    return DESIGN.read_text().partition(_HEAD)[0] + _HEAD + "".join(rows)


def _settings(cls: type, without: type | None = None) -> str:
    rows = []
    left_out = {field.name for field in dataclasses.fields(without)} if without else set()
    for field in dataclasses.fields(cls):
        if field.name in left_out:
            continue
        default = "" if field.default in (None, "", dataclasses.MISSING) else f"`{field.default}`"
        choices = ", ".join(f"`{choice}`" for choice in field.metadata["choices"])
        form = f"{metavar}: " if "=" in (metavar := field.metadata["metavar"]) else ""
        name = field.name.replace("_", "-")
        rows.append(f"| `{name}` | {default} | {form}{field.metadata['help']}{f' ({choices})' if choices else ''} |\n")
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
that secrets stay out of command lines; `@@` begins a value with `@`. What comes from a file, and what has a key such
as `sasl.password`, is in no error, log line, traceback or status: `[hidden]` stands in its place. Secrets of fewer
than 6 characters, and words such as `kafka`, are taken out of what librdkafka says of a setting only.

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


_VALUES = """# Values: what models get, what they may give, what is written

The rules are the same wherever a model runs: `run`, `score`, `verify`, `backtest` and the engine use one codec for each
encoding. Every row below is a test (`tests/unit/codec/test_values.py`). *refused* means that this record alone is rejected.
The text of the reject says where in the value the fault is, what was expected and what was found.

- Models get the number, bytes or text underneath a logical type: a `timestamp-millis` is an integer of milliseconds, so
  `x / 1000` works in every encoding. Values of Avro unions have no tag. JSON values are given as they come: a tagged union
  keeps its tag, an integer for a double stays an integer, and a field that is left out stays left out, default or not.
- Models may give Python's `datetime`, `date`, `time`, `Decimal` and `UUID`, or what is underneath; NumPy's scalars and
  arrays; unions bare or tagged as `{"double": 0.5}`; bytes as `bytes` or as a string of code points below 256.
- A `datetime` without a time zone is in UTC, whatever the zone of the machine.
- Which branch of a union a value belongs to is decided in this order. First, a tag whose value fits: `{"int": 3}` is 3 in a
  union with an int, even if the union has a map. Then the first branch that takes the value whole, with nothing converted,
  added or left out. Then the first that takes it with defaults for missing fields, a rounded `float`, or a `datetime` at
  midnight as a date. Then the first that takes an integer as a double, a string as bytes, or a record with fields that the
  branch does not name.
- A record may have fields that its schema does not name: JSON and msgpack write them, Avro and CSV leave them out.
- A value that does not fit is refused, never changed in silence. There are only these roundings: a number in a `float`, an
  integer in a `double`, and a time that is finer than its unit, which is cut off.
- A field that is left out and has a default: Avro and CSV write the default, JSON and msgpack leave the field out.
- Avro has NaN and the infinities. JSON has not: `run` refuses them in JSON; `score` and the engine read and write them as
  Python does, unless the descriptor of a stream says `Strict`. A number too large for a double is refused everywhere.
- JSON is written in ASCII, with `\\u` for other letters.
- Without a schema, JSON and msgpack write what Python's libraries for them do, and JSON writes bytes as a string of code
  points below 256. A `datetime` is refused: without a schema it has no unit.

## Keys

Keys are bytes and are never decoded: a session belongs to the exact bytes of its key. If a producer frames its keys with
a schema registry's five bytes, the id of the schema is part of the key. With a new version of the key's schema, every
key is then a new key: its session begins anew, and Kafka's partitioner mostly puts it on another partition, where the old
session is not. No setting of the service can join the two. So write keys unframed (`StringSerializer` and the like), or
do not change the schema of the key. The state of old keys is dropped by `--session-ttl` or `--max-sessions`.

"""


def _code(text: Any) -> str:
    text = str(text).replace("|", "\\|")
    return f"`{text if len(text) <= 70 else text[:66] + ' ...'}`"


def _result(text: Any) -> str:
    return rows.REFUSED if text == rows.REFUSED and isinstance(text, str) else _code(text)


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *lines)) + "\n"


def values() -> str:
    """docs/values.md: the rows that tests/unit/codec/test_values.py tests."""
    described = rows.described
    text = _VALUES + "## What models give\n\n"
    for title, found in rows.OUT.items():
        lines = [
            (_code(described(row.schema)), _code(row.shown or repr(row.given)), _result(row.json), _result(row.avro))
            for row in found
        ]
        text += f"### {title}\n\n" + _table(("schema", "the model gives", "JSON", "Avro (hex)"), lines)
    lines = [
        (
            _code(described(row.schema)),
            row.encoding,
            _code(row.wire),
            _result(row.seen if row.seen == rows.REFUSED else repr(row.seen)),
        )
        for row in rows.IN
    ]
    text += "## What models get\n\n" + _table(("schema", "encoding", "on the wire", "the model gets"), lines)
    text += (
        "## Written by one schema, read by another\n\nWith a schema registry (`--framing registry`), by Avro's rules, and "
        "beyond them: names of records, enums and fixed\nneed not match, and a time is counted in the reader's unit.\n\n"
    )
    text += _table(
        ("written by", "read by", "written", "the model gets"),
        [
            (
                _code(described(row.writer)),
                _code(described(row.reader)),
                _code(repr(row.written)),
                _result(row.seen if row.seen == rows.REFUSED else repr(row.seen)),
            )
            for row in rows.EVOLVED
        ],
    )
    text += (
        "## Which schemas go together\n\nWhen a stream is attached, its schema is compared with that of the model's slot. "
        "On an input the model's schema is asked\nfor and the stream's is given; on an output the other way round.\n\n"
    )
    text += _table(
        ("asked for", "given", "goes"),
        [(_code(described(row.asked)), _code(described(row.given)), "yes" if row.goes else "no") for row in rows.MATCH],
    )
    return text.rstrip() + "\n"


if __name__ == "__main__":
    VALUES.write_text(values())
    DESIGN.write_text(design())
    CONFIGURATION.write_text(configuration())
