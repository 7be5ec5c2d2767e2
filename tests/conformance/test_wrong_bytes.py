"""Bytes that are no Avro of their schema, and JSON that is none of it: rejected in every column, never read as something."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest

from tests.support import wired

ENUM = {"type": "enum", "name": "color", "symbols": ["RED", "GREEN"]}
LONG_OF_40_BITS = "80 80 80 80 80 40"
"""2**40, as Avro writes a long: too much for an int."""

AVRO = {
    "enum, index -1": (ENUM, "01"),
    "enum, index 2": (ENUM, "04"),
    "union, index -1": (["null", "int"], "01"),
    "union, index 2": (["null", "int"], "04 02"),
    "int of 40 bits": ("int", LONG_OF_40_BITS),
    "int of 40 bits, in an array": ({"type": "array", "items": "int"}, f"02 {LONG_OF_40_BITS} 00"),
    "int of ten bytes": ("int", "ff ff ff ff ff ff ff ff ff 01"),
    "long of eleven bytes": ("long", "ff ff ff ff ff ff ff ff ff ff 01"),
    "long beyond 64 bits": ("long", "ff ff ff ff ff ff ff ff ff 7f"),
    "boolean 7": ("boolean", "07"),
    "boolean 2, in a union": (["null", "boolean"], "02 02"),
    "text cut short": ("string", "06 61 62"),
    "text of a negative length": ("string", "01"),
    "text that is no UTF-8": ("string", "02 ff"),
    "double of 7 bytes": ("double", "00 00 00 00 00 00 00"),
    "double of 9 bytes": ("double", "00 00 00 00 00 00 00 00 00"),
    "more behind it": (["null", "string"], "00 00"),
    "nothing": ("int", ""),
    "fixed cut short": ({"type": "fixed", "name": "code", "size": 3}, "61 62"),
    "date of 40 bits": ({"type": "int", "logicalType": "date"}, LONG_OF_40_BITS),
}
TEXT = {
    "a number beyond a double": ("double", b"1e400"),
    "... within": ({"type": "array", "items": "double"}, b"[1, -1e400]"),
    "a number beyond a float": ("float", b"1e39"),
    "an integer beyond a double": ("double", b"1" + b"0" * 400),
    "nesting without end": ({"type": "array", "items": "int"}, b"[" * 100_000),
    "no UTF-8": ("string", b'"\xff"'),
    "two values": ("int", b"1 2"),
    "nothing": ("int", b""),
}
ALL = {
    **{f"avro: {name}": ("avro-binary", schema, bytes.fromhex(data)) for name, (schema, data) in AVRO.items()},
    **{f"json: {name}": ("json", schema, data) for name, (schema, data) in TEXT.items()},
}
MODEL = """\
# fastscore.schema.0: asked
def action(x):
    yield "read"
"""


@pytest.mark.parametrize("name", ALL)
def test_what_is_not_of_the_schema_is_rejected(name, tmp_path: Path):
    encoding, schema, data = ALL[name]
    (tmp_path / "wrong.py").write_text(MODEL)
    (tmp_path / "asked.avsc").write_text(json.dumps({"type": schema} if isinstance(schema, str) else schema))
    files = {"asked": str(tmp_path / "asked.avsc")}
    with contextlib.redirect_stderr(io.StringIO()):
        log = wired.run(tmp_path / "wrong.py", wired.settings(encoding, "json", schema=files), [data])
        outputs, failed = wired.in_jet(tmp_path / "wrong.py", encoding, files, [data], output="json")
    assert [out.value for out in log.outputs] == []
    assert [one.stage for one in log.rejects] in (["decode"], ["schema"])
    assert (outputs, failed) == ([], False)
