"""The parts of the documentation that are made from the code. `python -m tests.support.docs` writes them."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

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


def _settings(cls: type) -> str:
    rows = []
    for field in dataclasses.fields(cls):
        default = "" if field.default in (None, "", dataclasses.MISSING) else f"`{field.default}`"
        choices = ", ".join(f"`{choice}`" for choice in field.metadata["choices"])
        name = field.name.replace("_", "-")
        rows.append(f"| `{name}` | {default} | {field.metadata['help']}{f' ({choices})' if choices else ''} |\n")
    return "| setting | default | what it does |\n|---|---|---|\n" + "".join(rows)


def configuration() -> str:
    """docs/configuration.md: every setting of `run` and `engine`."""
    return (
        "# Settings of `stream-scorer run`\n\n"
        'Each is a flag (`--input-topic`), a key of the TOML file given by `--config` (`input-topic = "prices"`), and a\n'
        f"variable (`{ENV_PREFIX}INPUT_TOPIC`). Flags win over variables, variables over the file, the file over the\n"
        "default. A value `@FILE` of a KEY=VALUE setting is read from the file, so that secrets stay out of command lines.\n\n"
        + _settings(RunSettings)
        + "\n# Settings of `stream-scorer engine`\n\nGiven in the same ways.\n\n"
        + _settings(EngineSettings)
        + _BAKED
    )


if __name__ == "__main__":
    DESIGN.write_text(design())
    CONFIGURATION.write_text(configuration())
