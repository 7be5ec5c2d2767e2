"""Smart comments: every prefix, every selector, later lines win."""

from __future__ import annotations

from textwrap import dedent

import pytest

from stream_scorer.errors import ModelError
from stream_scorer.model.annotations import Annotations, parse


def _parse(text):
    return parse(dedent(text), "m.py")


@pytest.mark.parametrize(
    "prefix", ["fastscore", "FastScore", "modelop", "ModelOp", "ModelOp Center", "modelop center", "odg"]
)
def test_all_of_modelops_prefixes_in_any_case(prefix):
    assert _parse(f"# {prefix}.schema.0: double").schemas == {0: "double"}


@pytest.mark.parametrize(
    "line", ["#fastscore.schema.0:double", "   ##  fastscore.SCHEMA.0 :  double  ", "#\tfastscore.schema.0: double"]
)
def test_spaces_do_not_matter(line):
    assert parse(line).schemas == {0: "double"}


@pytest.mark.parametrize(
    "line",
    [
        "x = 1  # fastscore.schema.0: double",
        "# see fastscore.schema.0: double",
        "# other.schema.0: double",
        "# fastscore.schema.0 double",
        "# fastscore.schema.:1: in-use",
        "# fastscore.recordsets.:0",
    ],
)
def test_other_comments_are_left_alone(line):
    assert parse(line) == Annotations()


def test_comments_count_anywhere_in_the_file():
    found = _parse(
        """
        import x
        def action(x):
            # fastscore.schema.1: float
            return x
        # fastscore.module-attached: a.py
        # fastscore.module-attached: b.py
        # fastscore.snapshots: EOF
        """
    )
    assert found.schemas == {1: "float"}
    assert found.module_attached == ("a.py", "b.py")
    assert found.snapshots == "eof"


SELECTORS = {
    "by number": ("# fastscore.schema.2: a", {2: "a"}, {0, 1, 2}),
    "no selector is all": ("# fastscore.schema: a", {0: "a", 1: "a"}, {0, 1}),
    "$all": ("# fastscore.schema.$all: a\n# fastscore.slot.3: in-use", {0: "a", 1: "a", 3: "a"}, {0, 1, 3}),
    "$in": ("# fastscore.schema.$in: a\n# fastscore.slot.2: in-use", {0: "a", 2: "a"}, {0, 1, 2}),
    "$out, with inputs besides": (
        "# fastscore.slot.2: in-use\n# fastscore.slot.3: in-use\n# fastscore.schema.$out: a",
        {1: "a", 3: "a"},
        {0, 1, 2, 3},
    ),
    "$out": ("# fastscore.slot.3: in-use\n# fastscore.schema.$out: a", {1: "a", 3: "a"}, {0, 1, 3}),
    "$INPUT": ("# fastscore.schema.$INPUT: a", {0: "a"}, {0, 1}),
    "$output": ("# fastscore.schema.$output: a", {1: "a"}, {0, 1}),
    "later wins": ("# fastscore.schema.0: a\n# fastscore.schema.$in: b", {0: "b"}, {0, 1}),
    "and the other way": ("# fastscore.schema.$in: b\n# fastscore.schema.0: a", {0: "a"}, {0, 1}),
    "an unused slot": ("# fastscore.schema.1: a\n# fastscore.slot.1: unused", {}, {0}),
    "used again": ("# fastscore.slot.1: unused\n# fastscore.schema.1: a", {1: "a"}, {0, 1}),
    "all outputs unused": ("# fastscore.schema.3: a\n# fastscore.slot.$out: unused", {}, {0}),
    "none but one": ("# fastscore.slot: unused\n# fastscore.slot.0: in-use\n# fastscore.schema: a", {0: "a"}, {0}),
}


@pytest.mark.parametrize("case", SELECTORS)
def test_slots(case):
    text, schemas, in_use = SELECTORS[case]
    found = parse(text)
    assert (found.schemas, found.slots_in_use) == (schemas, in_use)


def test_deprecated_input_and_output():
    found = _parse("# fastscore.input: a\n# fastscore.output: b")
    assert found.schemas == {0: "a", 1: "b"}


def test_input_and_output_of_old_have_no_selector():
    assert parse("# fastscore.input.0: a\n# fastscore.output.1: b").schemas == {}


@pytest.mark.parametrize(("value", "slots"), [("none", ()), ("input", (0,)), ("output", (1,)), ("BOTH", (0, 1))])
def test_deprecated_recordsets(value, slots):
    assert parse(f"# fastscore.recordsets: {value}").recordsets == frozenset(slots)


def test_recordsets_by_slot():
    assert _parse("# fastscore.recordsets: yes\n# fastscore.recordsets.0: false").recordsets == {1}
    assert _parse("# fastscore.recordsets.$in: true").recordsets == {0}


def test_actions_are_of_input_slots():
    found = _parse("# fastscore.action.0: first\n# fastscore.action.2: second")
    assert found.actions == {0: "first", 2: "second"}
    assert found.slots_in_use == {0, 1, 2}
    assert parse("# fastscore.action: only").actions == {0: "only"}
    assert parse("# fastscore.action.$all: only").actions == {0: "only"}


def test_our_own_comments():
    found = _parse(
        """
        # stream-scorer.state: past_days, count
        # stream-scorer.window: 30
        # stream-scorer.batch: push, predict
        # stream-scorer.compat: tf1
        """
    )
    assert found.state == ("past_days", "count")
    assert (found.window, found.batch, found.compat) == (30, ("push", "predict"), "tf1")
    bare = Annotations()
    assert (bare.state, bare.window, bare.batch, bare.compat) == (None, None, None, None)


def test_ours_are_not_modelops():
    assert parse("# fastscore.window: 30").window is None
    assert parse("# stream-scorer.schema.0: double").schemas == {}


WRONG = {
    "an output's action": ("# fastscore.action.1: f", r"^m\.py:2: action\.1: 'f' is not an even slot"),
    "a named slot": ("# fastscore.schema.prices: f", r"^m\.py:2: slot 'prices' is neither a number nor"),
    "a slot's use": ("# fastscore.slot.1: maybe", r"^m\.py:2: slot\.1: 'maybe' is not in-use or unused"),
    "all slots in use": ("# fastscore.slot: in-use", r"^m\.py:2: slot\.\$all: 'in-use' is not unused"),
    "record sets": ("# fastscore.recordsets.0: some", r"^m\.py:2: recordsets: 'some' is not true, yes, false or no"),
    "snapshots": ("# fastscore.snapshots: daily", r"^m\.py:2: snapshots: 'daily' is not none or eof"),
    "a state": (
        "# stream-scorer.state: a b",
        r"^m\.py:2: stream-scorer\.state: 'a b' is not a list of names of globals",
    ),
    "a window": ("# stream-scorer.window: 0", r"^m\.py:2: stream-scorer\.window: '0' is not a number of inputs"),
    "a word for a window": ("# stream-scorer.window: ten", r"^m\.py:2: stream-scorer\.window: 'ten'"),
    "libraries of its time": (
        "# stream-scorer.compat: tf3",
        r"^m\.py:2: stream-scorer\.compat: 'tf3' is not tf1 or none",
    ),
    "a batch": ("# stream-scorer.batch: push", r"^m\.py:2: stream-scorer\.batch: 'push' is not two functions"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_value_is_told_with_file_and_line(case):
    line, message = WRONG[case]
    with pytest.raises(ModelError, match=message):
        parse(f"import x\n{line}\n", "m.py")


def test_roles_are_of_the_function_below_them():
    found = _parse(
        "# modelop.init\n\n# a comment\n@decorated\ndef start(): pass\n#ModelOp.Score\nasync def go(): pass\n"
        "# modelop.score\ndef again(): pass\n# modelop.metrics\nx = 1"
    )
    assert found.roles == {"init": "start", "score": "go"}
    assert _parse("# modelop.init: x\ndef start(): pass").roles == {}, "with a colon it is something else"


@pytest.mark.parametrize("value", ["unused", "none", "UNUSED"])
def test_explicit(value):
    assert _parse(f"# fastscore.action: {value}").explicit
    assert _parse(f"# fastscore.action.0: {value}").explicit
    assert not _parse(f"# fastscore.action.2: {value}\n# fastscore.slot.2: unused").explicit


def test_some_callbacks_and_some_none_are_refused():
    with pytest.raises(ModelError, match=r"^m\.py: slot 2 has the callback action\(\) and another input has none"):
        _parse("# fastscore.action.0: unused\n# fastscore.schema.2: int")


def test_inputs_and_outputs():
    found = _parse("# fastscore.slot.3: in-use\n# fastscore.slot.2: in-use")
    assert (found.inputs, found.outputs) == ([0, 2], [1, 3])


ODD = [
    "# fastscore.slot.²: in-use",
    "# fastscore.slot.٣: in-use",
    "# fastscore.slot.1²: in-use",
    f"# fastscore.slot.{'9' * 5000}: in-use",
    f"# fastscore.schema.{'x' * 100_000}: in-use",
    f"# fastscore.recordsets: {'x' * 100_000}",
    "# stream-scorer.window: ²",
    f"# stream-scorer.window: {'1' * 5000}",
    "# stream-scorer.state: a\0b",
    "# stream-scorer.compat: tf\u0661",
    "\n".join(f"# fastscore.slot.{number}: in-use" for number in range(2000)),
]


@pytest.mark.parametrize("line", ODD, ids=range(len(ODD)))
def test_odd_numbers_and_names_are_told(line):
    with pytest.raises(ModelError, match=r"^m.py:\d+: ") as error:
        parse(line, "m.py")
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    "line",
    ["# fa\u017ftscore.schema.0: int", "# \u017fcore.schema.0: int", "# odg.\u017fcore", "#\0fastscore.schema.0: int"],
)
def test_letters_that_only_look_like_a_prefix_are_none(line):
    assert parse(line) == Annotations()


@pytest.mark.parametrize(
    "source",
    [
        "# fastscore.schema.0: a" + " " * 200_000 + "b",
        "# fastscore.schema.0" + " " * 200_000,
        "#" * 200_000 + " " * 200_000,
        " " * 200_000 + "async" + " " * 200_000,
        "# fastscore." + "a." * 100_000,
        "# fastscore.slot.0: unused\n# fastscore.schema.0: x\n" * 20_000,
        "\n".join(f"# fastscore.schema.{number}: x\n# fastscore.schema: x" for number in range(256)) * 20,
    ],
    ids=range(7),
)
def test_long_lines_and_many_lines_take_time_by_their_length(source):
    """By its square, this would be hours."""
    parse(source)


def test_a_slot_dropped_and_named_again_is_what_was_said_last():
    found = parse(
        "# fastscore.schema.2: a\n# fastscore.slot.2: unused\n# fastscore.schema.2: b\n# fastscore.action.2: c"
    )
    assert (found.schemas, found.actions, found.inputs) == ({2: "b"}, {2: "c"}, [0, 2])
    found = parse("# fastscore.schema.2: a\n# fastscore.slot.2: unused\n# fastscore.slot.2: in-use")
    assert (found.schemas, found.inputs) == ({}, [0, 2])


@pytest.mark.parametrize("separator", ["\x0c", "\x0b", "\x1c", "\x85", "\u2028"])
def test_a_line_ends_where_python_ends_it(separator):
    source = f"# fastscore.schema.0: double{separator}# fastscore.schema.1: int\n# fastscore.window: 1\n"
    assert 1 not in parse(source).schemas


def test_the_last_of_many_comments_counts_and_time_grows_with_their_number():
    many = "".join(f"# fastscore.schema.$all: s{at}\n" for at in range(30_000))
    slots = "".join(f"# fastscore.slot.{slot}: in-use\n" for slot in range(250))
    assert set(parse(slots + many).schemas.values()) == {"s29999"}
