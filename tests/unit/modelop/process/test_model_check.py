"""Dry runs of a load, and import policies. Rules `b.*` and `j.*` of docs/conformance.md."""

from __future__ import annotations

import io
import sys
import zipfile

import pytest

from stream_scorer.errors import ModelError, SettingsError
from stream_scorer.model.imports import Import, find_imports
from stream_scorer.modelop.process.import_policy import Policy, Rule
from stream_scorer.modelop.process.model_check import MAX_SOURCE, check_model
from stream_scorer.modelop.process.package import ModelPackage


def _package(source: str, **more) -> ModelPackage:
    return ModelPackage("toy", source=source.encode(), **more)


def test_what_a_dry_run_tells():
    found = check_model(
        _package("""
# fastscore.schema.0: two_doubles
# fastscore.schema.1: double
# fastscore.recordsets.0: true
# fastscore.action.2: other
# fastscore.slot.3: in-use
# fastscore.snapshots: eof
# fastscore.module-attached: helper
# fastscore.module-attached: helper
import helper.deep, json
def action(x): pass
def other(x, slot): pass
""")
    )
    assert found == {
        "slots": [
            {"slot": 0, "schema": "two_doubles", "recordsets": True, "action": "action"},
            {"slot": 1, "schema": "double", "recordsets": False, "action": None},
            {"slot": 2, "schema": None, "recordsets": False, "action": "other"},
            {"slot": 3, "schema": None, "recordsets": False, "action": None},
        ],
        "install_libs": [],
        "warn_libs": [],
        "attach_libs": ["helper"],
        "snapshots": "eof",
    }


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("#" * (MAX_SOURCE + 1), "16,777,217 bytes"),
        ("x=[" + "1," * 251_000 + "]", "more than 500,000 words and signs"),
        ("x=f'" + "{1}" * 340_000 + "'", "more than 500,000 words and signs"),
    ],
    ids=["bytes", "words", "a formatted text"],
)
def test_a_source_that_would_take_all_memory_is_not_read(source, said):
    with pytest.raises(ModelError, match=f"toy: its source has {said}"):
        check_model(_package(source))


def test_a_long_text_in_a_source_costs_little():
    check_model(_package(f"weights = {'a' * 2_000_000!r}\ndef action(x): pass"))


def test_an_explicit_model_needs_no_callback():
    found = check_model(_package("# fastscore.action: unused\nfrom fastscore.io import Slot"))
    assert [slot["action"] for slot in found["slots"]] == ["unused", None]


FIT = {
    "a lambda": "action = lambda x: x",
    "made by a call": "import functools\naction = functools.partial(max)",
    "imported": "from json import dumps as action",
    "imported with all the rest": "from json import *",
    "below an if": "if True:\n    def action(x): pass",
    "below a try": "try:\n    def action(x): pass\nfinally:\n    pass",
    "decorated": "import functools\n@functools.lru_cache\ndef action(): pass",
    "set by begin": "def begin():\n    global action\n    action = print",
    "set by name": "globals()['action'] = print",
    "defined again": "def action(): pass\ndef action(x): pass",
    "unpacked": "begin, action = print, print",
    "a class": "class action:\n    def __init__(self, x): pass",
    "a 2.x role": "# modelop.score\ndef score(x): pass",
    "defaults of its own": "def action(x, scale=1, /, *, more=2): pass",
    "no input at all": "# fastscore.slot.0: unused",
    "an import that may fail": "try:\n import no_such_thing\nexcept ImportError:\n import nor_this\ndef action(x): pass",
    "an import on a condition": "import sys\nif sys.version_info < (3,):\n import no_such_thing\ndef action(x): pass",
    "an old library that the facade has": "import imp\ndef action(x): pass",
    "ours": "import fastscore\nfrom fastscore.io import Slot\ndef action(x): pass",
    "a name of a module": "from json import dumps, no_such_name\ndef action(x): pass",
}


@pytest.mark.parametrize("case", FIT)
def test_fit_to_be_loaded(case):
    check_model(_package(FIT[case]))


UNFIT = {
    "no callback": ("def act(x): pass", r"toy\.py: no function action\(\)\. It defines act\..*'# fastscore\.action\.0"),
    "no callback for a slot": (
        "# fastscore.action.2: two\ndef action(x): pass",
        r"no function two\(\)\. It defines action.*'# fastscore\.action\.2",
    ),
    "no arguments": ("def action(): pass", r"action\(\) takes 0 arguments"),
    "four arguments": ("def action(a, b, c, d): pass", r"action\(\) takes 4 arguments"),
    "a mix": ("# fastscore.action.0: none\n# fastscore.action.2: a\ndef a(x): pass", r"slot 2 has the callback a\(\)"),
    "Python 2": ("def action(x):\n    print x", r"toy\.py:2: not Python 3"),
    "a wrong comment": ("# fastscore.recordsets: maybe\ndef action(x): pass", r"toy\.py:1: recordsets"),
    "a missing library": (
        "import json\nimport no_such_thing\ndef action(x): pass",
        r"toy\.py:2: imports no_such_thing,",
    ),
    "a missing library in a function": ("def action(x):\n import no_such.thing", r"toy\.py:2: imports no_such\.thing,"),
    "a missing library by name": (
        "import importlib\nm = importlib.import_module('no_such')\ndef action(x): pass",
        r"toy\.py:2: imports no_such,.*module-attached: no_such",
    ),
    "a library caught for something else": (
        "try:\n import no_such\nexcept ValueError: pass\ndef action(x): pass",
        r"toy\.py:2: imports no_such",
    ),
}


@pytest.mark.parametrize("case", UNFIT)
def test_not_fit_to_be_loaded(case):
    source, message = UNFIT[case]
    with pytest.raises(ModelError, match=message) as got:
        check_model(_package(source))
    assert "\n" not in str(got.value)


def test_another_language_is_refused():
    with pytest.raises(ModelError, match="toy: models of type 'r' do not run here, only python3, python, python2"):
        check_model(_package("x <- 1", mtype="r"))
    check_model(_package("def action(x): pass", mtype="python"))


def _archive(**files: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        for name, text in files.items():
            zipped.writestr(name.replace("__py", ".py").replace("__", "/"), text)
    return packed.getvalue()


def test_modules_in_an_attachment_are_there():
    source = "import mine, folder.inner\nfrom other import thing\ndef action(x): pass"
    attached = (("a.zip", _archive(mine__py="", folder__inner__py="")), ("b.zip", _archive(other__py="")))
    assert check_model(_package(source, attachments=attached))["attach_libs"] == []
    with pytest.raises(ModelError, match="imports other"):
        check_model(_package(source, attachments=attached[:1]))


def test_an_attachment_that_is_not_safe_is_refused():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        zipped.writestr("../out.txt", "x")
    with pytest.raises(ModelError, match="points outside"):
        check_model(_package("def action(x): pass", attachments=(("a.zip", packed.getvalue()),)))


POLICY = """
os: prohibit
socket: warn
xml.dom: warn
no_such_thing:
  policy: install
  command: pip install no-such-thing==3.2.1
json: install
nose: install
"""


def test_a_policy_is_read():
    policy = Policy.parse(POLICY)
    assert policy.text == POLICY
    assert policy.rule("os.path") == Rule("os", "prohibit")
    assert policy.rule("xml.dom.minidom") == Rule("xml.dom", "warn")
    assert policy.rule("xml") is None
    assert policy.rule("no_such_thing") == Rule("no_such_thing", "install", ("pip", "install", "no-such-thing==3.2.1"))
    assert Policy.parse("").rules == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("os: [", "not YAML"),
        ("- os", "it must map libraries to prohibit, warn, install, and is a list"),
        ("os: allow", "os: 'allow' is none of prohibit, warn, install"),
        ("os: {policy: install, command: 3}", "os: .* is none of"),
        ("os: {policy: warn, command: pip}", "a command goes with policy install, not with warn"),
        ("os: {policy: install, command: 'a \"b'}", "No closing quotation"),
        ("os: {policy: [install]}", "os: .* is none of"),
    ],
)
def test_a_wrong_policy_is_told(text, message):
    with pytest.raises(SettingsError, match=message) as got:
        Policy.parse(text)
    assert "\n" not in str(got.value)


def test_a_policy_at_work():
    policy = Policy.parse(POLICY)
    source = "import socket, json, nose, no_such_thing.part\nfrom xml import dom\ndef action(x): pass"
    found = check_model(_package(source), policy)
    assert found["warn_libs"] == ["socket", "xml.dom"]
    assert found["install_libs"] == ["nose", "no_such_thing"], "json is there already"
    for prohibited in ("import os", "import os.path", "from os import path", "__import__('os')"):
        with pytest.raises(ModelError, match=r"toy\.py:2: imports os, which the import policy prohibits"):
            check_model(_package(f"\n{prohibited}\ndef action(x): pass"), policy)


def test_an_attached_module_needs_no_leave():
    policy = Policy.parse("helper: prohibit")
    check_model(_package("# fastscore.module-attached: helper\nimport helper.part\ndef action(x): pass"), policy)


@pytest.mark.process
def test_a_missing_library_is_installed_by_its_command(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    made = tmp_path / "made_by_policy.py"
    package = _package("import made_by_policy\ndef action(x): pass")
    write = f"""{sys.executable} -c "open('{made}', 'w').close()\""""
    policy = Policy.parse(f"made_by_policy:\n  policy: install\n  command: {write}")
    policy.install(check_model(package, policy)["install_libs"])
    assert made.exists()
    assert check_model(package, Policy.parse("made_by_policy: install"))["install_libs"] == []


@pytest.mark.process
def test_a_folder_named_pip_in_the_working_directory_is_not_run(tmp_path, monkeypatch):
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "__init__.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    policy = Policy.parse("never_there:\n  policy: install\n  command: pip --version")
    with pytest.raises(ModelError, match="ended with 0"):
        policy.install(["never_there"])


@pytest.mark.process
@pytest.mark.parametrize(
    ("command", "message"),
    [
        (f'{sys.executable} -c "print(1); raise SystemExit(3)"', r"ended with 3: 1"),
        (f"{sys.executable} -c pass", r"ended with 0, and there is still no module never_there"),
        ("/no/such/program", "could not be run"),
    ],
)
def test_an_installation_that_fails_is_told(command, message):
    policy = Policy.parse(f"never_there:\n  policy: install\n  command: {command}")
    missing = check_model(_package("import never_there\ndef action(x): pass"), policy)["install_libs"]
    with pytest.raises(ModelError, match=message) as got:
        policy.install(missing)
    assert "\n" not in str(got.value)


def test_imports_are_found_in_order():
    import ast

    source = "import a, b.c as d\ndef f():\n from . import own\n from e import g\ntry:\n import h\nexcept Exception: import i"
    assert list(find_imports(ast.parse(source))) == [
        Import("a", 1, optional=False),
        Import("b.c", 1, optional=False),
        Import("e", 4, optional=False),
        Import("e.g", 4, optional=False, part=True),
        Import("h", 6, optional=True),
        Import("i", 7, optional=True),
    ]
