"""`stream-scorer verify`: what it says of a model is what `run` does with it."""

from __future__ import annotations

import pytest

from stream_scorer.cli import main

SCHEMA = "# fastscore.schema.0: double\n# fastscore.schema.1: double\n"
VERIFIED = {
    "a number": ("def action(x, slot, seqno): yield x + seqno", "ok  action: 600 inputs one by one give 600 outputs\n"),
    "the only output is slot 3": (
        "# fastscore.slot.1: unused\n# fastscore.slot.3: in-use\ndef action(x): yield x",
        "give 600 outputs\n",
    ),
    "some are rejected": (
        SCHEMA + "def action(x): yield x if x > 0 else 'no'",
        " are rejected, the first: encode: output: expected double",
    ),
    "not of numbers": (
        "def action(x): yield x['a']",
        "scores: NOT compared, as every number made up is rejected; the first: action: toy.py:1: action() raised",
    ),
}
NOT = {
    "an output that never fits": (
        SCHEMA + "def action(x): yield 'no'",
        "every one of 600 inputs is rejected; the first: enc",
    ),
    "a slot that is not in use": (SCHEMA + "def action(x): yield 3, x", "wrote to slot 3, which is not in use"),
    "end that yields": (SCHEMA + "def action(x): yield x\ndef end(): yield 1.0", "its end() yields outputs"),
    "a number in a window": (
        SCHEMA + "# stream-scorer.window: 3\ndef action(x, slot, seqno): yield x",
        "its action takes the sequence number",
    ),
    "record sets": ("# fastscore.recordsets.0: true\ndef action(x): yield x", "asks for record sets"),
}


@pytest.fixture
def verify(write, capsys):
    def verify(source):
        write("double.avsc", '"double"')
        code = main(["verify", str(write("toy.py", source))])
        said = capsys.readouterr()
        return code, said.out, said.err

    return verify


@pytest.mark.parametrize("case", VERIFIED)
def test_what_run_scores_is_verified(case, verify):
    source, text = VERIFIED[case]
    code, out, err = verify(source)
    assert (code, err) == (0, "")
    assert text in out


@pytest.mark.parametrize("case", NOT)
def test_what_run_refuses_or_rejects_is_not(case, verify):
    source, text = NOT[case]
    code, out, err = verify(source)
    assert code == 1
    assert err.startswith("NOT ok  ")
    assert text in err
    assert "verified" not in out
