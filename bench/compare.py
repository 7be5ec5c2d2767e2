"""The ratios of two runs side by side: `python -m bench compare [OLD] [NEW]`, `python -m bench keep`.

Figures of two runs cannot be compared, ratios within a run can: that is what benches list under "ratios". What is
worse than it was is told, never an error: machines differ, and so do their loads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench.figures import HIGHER

HERE = Path(__file__).parent
LATEST, KEPT = HERE / "results" / "latest.json", HERE / "kept.json"
TOLERANCE = 0.2
"""By how much a ratio may be worse before it is marked."""
ABOUT = ("machine", "versions", "commit", "date", "share")


class Line(NamedTuple):
    """One ratio then and now; None where a run does not have it. `worse` by this part of what it was; below 0, better."""

    name: str
    then: float | None
    now: float | None
    worse: float | None


def ratios(run: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """BENCH: RATIO -> {"value", "better"} of a run, or of what `keep` left of one."""
    if "ratios" in run:
        return dict(run["ratios"])
    return {
        f"{bench}: {name}": entry
        for bench, result in run["results"].items()
        for name, entry in result.get("ratios", {}).items()
    }


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Line]:
    then, now = ratios(old), ratios(new)
    return [_line(name, then.get(name), now.get(name)) for name in {**then, **now}]


def _line(name: str, then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> Line:
    if then is None or now is None:
        return Line(name, then["value"] if then else None, now["value"] if now else None, None)
    a, b = then["value"], now["value"]
    if a <= 0:
        return Line(name, a, b, None)
    return Line(name, a, b, 1 - b / a if now["better"] == HIGHER else b / a - 1)


def table(lines: list[Line], tolerance: float = TOLERANCE) -> str:
    width = max((len(line.name) for line in lines), default=0)
    rows = [f"{'':{width}} {'then':>10} {'now':>10}"]
    rows += [f"{one.name:{width}} {_number(one.then)} {_number(one.now)}  {_verdict(one, tolerance)}" for one in lines]
    return "\n".join(row.rstrip() for row in rows)


def _number(value: float | None) -> str:
    return f"{'-':>10}" if value is None else f"{value:10.3g}"


def _verdict(line: Line, tolerance: float) -> str:
    if line.worse is None:
        return "" if line.then is not None and line.now is not None else "only in one"
    return f"WORSE by {line.worse:.0%}" if line.worse > tolerance else ""


def kept(run: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a run: its ratios, and where and when they were taken."""
    return {key: run[key] for key in ABOUT if key in run} | {"ratios": ratios(run)}


def main_compare(old: Path = KEPT, new: Path = LATEST) -> int:
    if missing := [path for path in (old, new) if not path.is_file()]:
        print(
            f"nothing to compare: no {' and no '.join(map(str, missing))}. `python -m bench` writes one, `keep` keeps it."
        )
        return 0
    before, after = (json.loads(path.read_text()) for path in (old, new))
    for path, run in ((old, before), (new, after)):
        print(f"{path.name}: commit {run['commit']} of {run['date']} on {run['machine']}")
    if before["machine"] != after["machine"]:
        print("Other machines: a ratio may differ for that alone.")
    print(f"\n{table(compare(before, after))}")
    return 0


def main_keep(latest: Path = LATEST, to: Path = KEPT) -> int:
    to.write_text(json.dumps(kept(json.loads(latest.read_text())), indent=1) + "\n")
    print(f"kept in {to}")
    return 0
