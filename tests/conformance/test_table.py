"""docs/conformance.md is as the rules and the tests are, and every rule has something that shows it."""

from __future__ import annotations

from tests.conformance.case import load_cases
from tests.support import conformance

RULES = {rule.id: rule for section in conformance.sections() for rule in section.rules}


def test_the_table_is_as_the_tests_are():
    assert conformance.PAGE.read_text() == conformance.page(), "run: python -m tests.support.conformance"


def test_every_rule_is_shown():
    cases = conformance.shown_by_cases()
    assert [name for name, rule in RULES.items() if not cases.get(name) and not rule.tests] == []


def test_cases_show_rules_that_there_are():
    assert [case.name for case in load_cases() if not case.rules or not set(case.rules) <= RULES.keys()] == []


def test_every_test_that_a_rule_names_is_there():
    assert [test for rule in RULES.values() for test in rule.tests if conformance.missing(test)] == []


def test_a_case_for_one_way_alone_says_why():
    cases = load_cases()
    assert [case.name for case in cases if bool(case.only) != bool(case.because)] == []
    assert len({case.name for case in cases}) == len(cases)
    assert sum(not case.only for case in cases) >= 60
