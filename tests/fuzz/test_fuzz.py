"""Everything that decodes bytes or text from outside, on inputs that nobody meant it to have.

Each input ends in a value or in an error of the documented kind: no crash, no hang, no memory without end. A failure
tells target, seed and the input in hex; `pytest --fuzz=1` runs a million inputs, with another seed at every run.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.child import HEAD, SIZE
from tests.fuzz.targets import GROUPS, SHARES
from tests.support.summary import SUMMARY_LINES

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
COUNT = 80_000
"""Inputs of a run without --fuzz."""


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_decoders_end_in_a_value_or_in_their_own_error(group, request, tmp_path):
    millions = request.config.getoption("--fuzz")
    count = int((millions * 1_000_000 if millions else COUNT) * SHARES[group] / sum(SHARES.values()))
    seed = os.urandom(4).hex() if millions else "13"
    told = _run(group, seed, count, tmp_path / "in-hand")
    done = sum(one["done"] for one in told)
    SUMMARY_LINES.append(f"fuzzed {group}: {done:,} inputs")
    problems = [
        f"target {one['target']!r}, seed {seed!r}, input {one['number']:,}: {one['problem']}\nhex: {one['hex'][:4000]}"
        for one in told
        if "problem" in one
    ]
    assert not problems, "\n\n".join(problems)
    assert done >= count * 0.9


def _run(group: str, seed: str, count: int, file: Path) -> list[dict]:
    """What the child told of each target. One that ends the child is told of too, and the next begins a new child."""
    file.write_bytes(bytes(SIZE))
    told: list[dict] = []
    ended = False
    while not ended:
        command = [sys.executable, "-m", "tests.fuzz.child", group, seed, str(count), str(file), str(len(told))]
        child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        told += map(json.loads, child.stdout.splitlines())
        ended = child.returncode == 0
        if child.returncode > 0:
            pytest.fail(f"the child could not run: {child.stderr[-3000:]}")
        if not ended:
            target, number, length = HEAD.unpack_from(data := file.read_bytes())
            data = data[HEAD.size : HEAD.size + length]
            name = signal.Signals(-child.returncode).name
            problem = f"{name}{' (a hang)' if name == 'SIGPROF' else ''}: {child.stderr[-1500:]}"
            target = GROUPS[group]()[target].name
            told.append({"target": target, "done": number, "problem": problem, "number": number, "hex": data.hex()})
    return told
