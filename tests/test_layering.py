"""Imports go downward only: this table is the architecture."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Each part (a file or a folder of stream_scorer) and the parts it may import; all of them stand above it.
MAY_IMPORT = {
    **dict.fromkeys("errors records logs stderr times shipped_schemas avro_long extras spelling".split(), ""),
    "ports": "records",
    **dict.fromkeys("addresses ending retention slots".split(), "errors"),
    "lifeline": "",
    "supervisor": "errors lifeline",
    "signals": "errors",
    "folders": "errors",
    "arguments": "errors spelling",
    "settings": "errors arguments spelling",
    "cli": "errors arguments extras spelling",
    "replay": "errors times",
    "reference": "errors",
    "codec": "errors records ports shipped_schemas avro_long spelling",
    "model": "errors records stderr reference extras folders",
    "state": "errors records ports shipped_schemas avro_long",
    "evaluate": "errors records ports times",
    "engine": "errors records ports state",
    "transports": "errors records ports state replay retention times spelling",
    "streams": "errors records ports avro_long codec transports",
    "jets": "errors records ports stderr folders model state streams",
    "manifold": "errors records ports jets streams",
    "status": "records state engine evaluate",
    "control": "addresses status",
    # From here on parts are put together, so settings may be known.
    "kafka_settings": "errors settings",
    "run_settings": "addresses errors times retention settings kafka_settings",
    "kafka_topics": "errors retention run_settings transports",
    "hosting": "errors records ports codec model state engine",
    "kafka_service": "errors records run_settings kafka_topics slots ending model state engine evaluate transports status "
    "hosting",
    "app": "errors signals ending lifeline control run_settings reference codec model engine evaluate hosting "
    "kafka_service",
    "pipes": "errors records ports codec model engine streams transports",
    "score": "errors records signals model jets streams hosting pipes",
    "verify": "errors records ports model hosting",
    "demo": "errors run_settings replay codec transports app",
    "client": "addresses errors folders settings",
    "server": "addresses errors folders settings client codec streams jets manifold",
    "backtest": "errors records codec model evaluate hosting times",
    "training": "errors arguments stderr reference model backtest",
    "commands": "streams client server errors spelling times retention settings arguments kafka_settings run_settings logs "
    "lifeline signals supervisor replay codec model transports hosting app evaluate pipes score verify demo backtest training",
    "__main__": "cli ending",
}
# Third-party packages that only some files may know.
ONLY_IN = {
    "confluent_kafka": ["stream_scorer/transports/kafka_*.py", "stream_scorer/codec/registry_confluent.py"],
    "msgpack": ["stream_scorer/codec/*.py", "stream_scorer/streams/envelopes.py"],
    "boto3": ["stream_scorer/transports/stream_s3.py"],
    "fastavro": ["stream_scorer/codec/*.py", "stream_scorer/state/snapshots.py"],
    "tensorflow": [
        "training/*.py",
        "training/model/*.py",
        *(f"stream_scorer/model/compat/{name}.py" for name in ("tf1", "cells", "layers", "graph_mode")),
    ],
    "sklearn": ["training/*.py"],
    "pandas_market_calendars": ["training/forecast_data.py"],
    "matplotlib": ["training/*.py"],
    "pandas": [
        "training/*.py",
        "stream_scorer/model/recordsets.py",
        "stream_scorer/replay.py",
        "stream_scorer/backtest/prices.py",
        "stream_scorer/demo.py",
        "stream_scorer/commands/replay.py",
    ],
    "starlette": ["stream_scorer/server/*.py"],
    "uvicorn": ["stream_scorer/server/serve.py"],
    "websockets": ["stream_scorer/client/pneumo.py"],
    "rich": ["training/cli.py", "stream_scorer/commands/*.py"],
    "prometheus_client": ["stream_scorer/control.py"],
    "scipy": ["training/*.py", "stream_scorer/evaluate/drift.py"],
}
FILES = [path.relative_to(ROOT) for folder in ("stream_scorer", "training") for path in (ROOT / folder).rglob("*.py")]


@functools.cache
def _imports(file: Path) -> list[str]:
    """Dotted names, those inside functions too."""
    found: list[str] = []
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def _part(name: str) -> str | None:
    """The part of ours that a dotted name is in; None for other packages and for stream_scorer itself."""
    package, _, rest = name.partition(".")
    part = rest.partition(".")[0]
    if package == "stream_scorer":
        folder = ROOT / package
        return part if (folder / f"{part}.py").is_file() or ((folder / part).is_dir() and part) else None
    return package if package == "training" else None


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_part_imports_what_is_above_it_in_the_table(file):
    mine = _part(".".join(file.with_suffix("").parts))
    if mine not in (None, "__init__"):
        imported = {part for name in _imports(file) if (part := _part(name))} - {mine}
        assert imported <= set(MAY_IMPORT[mine].split())


@pytest.mark.parametrize("package", ONLY_IN)
def test_a_package_is_known_to_its_files_only(package):
    knowing = {file for file in FILES if any(name.split(".")[0] == package for name in _imports(file))}
    allowed = {path.relative_to(ROOT) for pattern in ONLY_IN[package] for path in ROOT.glob(pattern)}
    assert knowing, f"nobody imports {package}: the row can go"
    assert knowing <= allowed


def test_the_table_goes_downward():
    parts = list(MAY_IMPORT)
    for at, part in enumerate(parts):
        assert set(MAY_IMPORT[part].split()) <= set(parts[:at]), part


def test_the_table_has_no_more_than_there_is():
    used = {}
    for file in FILES:
        mine = _part(".".join(file.with_suffix("").parts))
        used.setdefault(mine, set()).update(part for name in _imports(file) if (part := _part(name)))
    for part, allowed in MAY_IMPORT.items():
        assert set(allowed.split()) <= used[part], part
