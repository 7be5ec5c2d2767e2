"""The ratios of two runs side by side: `python -m bench compare [OLD] [NEW]`, `python -m bench keep`.

Figures of two runs cannot be compared, but ratios within a run can: benches list them under "ratios". A ratio that got
worse is marked, never an error: machines differ, and so do their loads.
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
"""A ratio that is worse by more than this share is marked."""
ABOUT = ("machine", "versions", "commit", "date", "share")


class Line(NamedTuple):
    """A ratio then and now; None where a run does not have it. worse: share of the old value; negative is better."""

    name: str
    then: float | None
    now: float | None
    worse: float | None


def ratios(run: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """ "BENCH: RATIO" -> {"value", "better"}, of a run or of the file that `keep` writes."""
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
    rows += [
        f"{line.name:{width}} {_number(line.then)} {_number(line.now)}  {_verdict(line, tolerance)}" for line in lines
    ]
    return "\n".join(row.rstrip() for row in rows)


def _number(value: float | None) -> str:
    return f"{'-':>10}" if value is None else f"{value:10.3g}"


def _verdict(line: Line, tolerance: float) -> str:
    if line.worse is None:
        return "" if line.then is not None and line.now is not None else "only in one"
    return f"WORSE by {line.worse:.0%}" if line.worse > tolerance else ""


def kept(run: Mapping[str, Any]) -> dict[str, Any]:
    """The ratios of a run, with its machine, versions, commit and date."""
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
        print("The machines differ: a ratio may differ for that reason alone.")
    print(f"\n{table(compare(before, after))}")
    return 0


def main_keep(latest: Path = LATEST, to: Path = KEPT) -> int:
    to.write_text(json.dumps(kept(json.loads(latest.read_text())), indent=1) + "\n")
    print(f"kept in {to}")
    return 0
