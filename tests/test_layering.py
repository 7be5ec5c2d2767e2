"""Imports go downward only: this table is the architecture."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Each part (a file or a folder of stream_scorer; in modelop/ each of its folders) and the parts it may import; all of them
# stand above it.
MAY_IMPORT = {
    **dict.fromkeys("errors records models version safe_text secret_text".split(), ""),
    "parsing": "errors",
    "ports": "records",
    "system": "errors safe_text secret_text",
    "settings": "errors secret_text parsing",
    "codec": "errors records secret_text parsing ports",
    "model": "errors records system",
    "state": "errors records ports codec",
    "prices": "errors parsing codec model",
    "evaluate": "errors records parsing ports prices",
    "scoring": "errors records parsing ports codec model prices state evaluate",
    "report": "errors safe_text prices evaluate scoring",
    "kafka": "errors records safe_text secret_text parsing ports state",
    "modelop.endpoints": "errors records parsing system kafka",
    "modelop.streams": "errors records secret_text ports codec modelop.endpoints",
    "modelop.process": "errors records safe_text parsing ports system model state modelop.streams",
    "modelop.dataflow": "errors records ports modelop.streams modelop.process",
    "modelop.client": "model errors safe_text parsing system settings",
    "modelop.server": "model errors version safe_text parsing system codec settings modelop.client "
    "modelop.streams modelop.process modelop.dataflow",
    "service": "version errors records safe_text parsing ports system codec model settings state evaluate kafka scoring",
    "api": "errors records parsing ports system model settings scoring service",
    "testing": "errors records codec model service api",
    "programs": "errors records safe_text ports system codec model kafka modelop.endpoints scoring modelop.streams service "
    "modelop.process",
    "training": "errors models safe_text system model settings prices evaluate scoring report",
    "commands": "errors records safe_text secret_text parsing system codec model settings modelop.client prices evaluate "
    "kafka scoring modelop.streams report service training programs modelop.server",
    "cli": "version errors safe_text secret_text parsing system settings",
    "__main__": "safe_text secret_text system cli",
}
# Third-party packages that only some files may know.
ONLY_IN = {
    "confluent_kafka": [
        "stream_scorer/kafka/*.py",
        "stream_scorer/modelop/endpoints/kafka.py",
        "stream_scorer/codec/registry_confluent.py",
    ],
    "cryptography": ["stream_scorer/model/signature.py"],
    "msgpack": ["stream_scorer/codec/*.py", "stream_scorer/modelop/streams/envelopes.py"],
    "boto3": ["stream_scorer/modelop/endpoints/s3.py"],
    "fastavro": ["stream_scorer/codec/*.py", "stream_scorer/state/snapshots.py"],
    "tensorflow": [
        "training/stream_scorer_training/*.py",
        "stream_scorer/models/*.py",
        *(
            f"stream_scorer/model/compat/{name}.py"
            for name in ("tf1", "cells", "cell_wrappers", "layers", "graph_mode")
        ),
    ],
    "sklearn": ["training/stream_scorer_training/*.py"],
    "pandas_market_calendars": ["training/stream_scorer_training/forecast_data.py"],
    "matplotlib": ["training/stream_scorer_training/*.py"],
    "pandas": [
        "training/stream_scorer_training/*.py",
        "stream_scorer/model/recordsets.py",
        "stream_scorer/kafka/replay_rows.py",
        "stream_scorer/prices/history.py",
        "stream_scorer/api/table.py",
        "stream_scorer/programs/demo.py",
        "stream_scorer/commands/replay.py",
        "stream_scorer/commands/demo.py",
    ],
    "yaml": ["stream_scorer/parsing/plain_yaml.py", "stream_scorer/modelop/server/instance.py"],
    "starlette": ["stream_scorer/modelop/server/*.py"],
    "uvicorn": [
        f"stream_scorer/modelop/server/{name}.py"
        for name in ("serve", "listening", "http_protocol", "websocket_protocol")
    ],
    "httptools": ["stream_scorer/modelop/server/http_protocol.py"],
    "websockets": ["stream_scorer/modelop/client/pneumo_listener.py"],
    "rich": ["training/stream_scorer_training/cli.py", "stream_scorer/commands/*.py"],
    "prometheus_client": ["stream_scorer/service/http.py", "stream_scorer/modelop/server/probes.py"],
    "scipy": ["training/stream_scorer_training/*.py", "stream_scorer/evaluate/drift.py"],
}
FILES = [path.relative_to(ROOT) for folder in ("stream_scorer", "training") for path in (ROOT / folder).rglob("*.py")]


@functools.cache
def _imports(file: Path) -> list[str]:
    """Dotted names, those inside functions too."""
    imported: list[str] = []
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            imported += [f"{node.module}.{alias.name}" for alias in node.names]
    return imported


def _part(name: str) -> str | None:
    """The part of ours that a dotted name is in; None for other packages and for stream_scorer itself."""
    package, *rest = name.split(".")
    if package == "stream_scorer_training":
        return "training"
    if package != "stream_scorer" or not rest:
        return None
    folder = ROOT / package
    if rest[0] == "modelop":
        return ".".join(rest[:2]) if len(rest) > 1 and (folder / "modelop" / rest[1]).is_dir() else None
    return rest[0] if (folder / f"{rest[0]}.py").is_file() or (folder / rest[0]).is_dir() else None


def _dotted(file: Path) -> str:
    return ".".join(file.with_suffix("").parts).removeprefix("training.")


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_part_imports_what_is_above_it_in_the_table(file):
    mine = _part(_dotted(file))
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
        mine = _part(_dotted(file))
        used.setdefault(mine, set()).update(part for name in _imports(file) if (part := _part(name)))
    for part, allowed in MAY_IMPORT.items():
        assert set(allowed.split()) <= used[part], part


def test_bench_and_support_take_nothing_of_the_tests():
    """What both need stands in support/."""
    for folder in ("bench", "support"):
        for path in (ROOT / folder).rglob("*.py"):
            file = path.relative_to(ROOT)
            packages = {name.split(".")[0] for name in _imports(file)}
            assert "tests" not in packages, file
            assert folder == "bench" or "bench" not in packages, file


def test_no_two_files_import_each_other():
    """Directly or through others: each can be read after those that it imports."""
    modules = {_dotted(file).removesuffix(".__init__"): file for file in FILES}
    imported = {
        module: {
            name if name in modules else name.rpartition(".")[0]
            for name in _imports(file)
            if {name, name.rpartition(".")[0]} & modules.keys()
        }
        - {module}
        for module, file in modules.items()
    }
    reached = {module: _reached(module, imported) for module in modules}
    circles = {
        frozenset(other for other in reached[module] if module in reached[other])
        for module in modules
        if module in reached[module]
    }
    assert not circles


def _reached(start: str, imported: dict[str, set[str]]) -> set[str]:
    """All modules that importing this one leads to; itself only in a circle."""
    reached: set[str] = set()
    waiting = list(imported[start])
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += imported[module]
    return reached
