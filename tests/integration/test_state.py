"""Saved state that belongs to something else is never used, and never begun anew in silence."""

from __future__ import annotations

import struct

import pytest

from stream_scorer.kafka.changelog import changelog_name, former_changelog_name
from support.service import MODELS, run, score_topic

pytestmark = pytest.mark.broker
COUNTER = MODELS / "counter.py"


def _send(kafka, topic, count, partition=0, key=b"k"):
    kafka.send(topic, [{"value": struct.pack("<d", 1.0), "key": key, "partition": partition}] * count)


def _values(kafka, topic, partition=0):
    found = [message for message in kafka.read(topic) if message.partition() == partition]
    return [struct.unpack("<d", message.value())[0] for message in found]


@pytest.fixture
def models(tmp_path):
    """Two versions of one model: what one makes of a state is wrong by 9,000 in the other."""
    old, new = tmp_path / "old" / "model.py", tmp_path / "new" / "model.py"
    for path, begin in ((old, "count = 0"), (new, "count = 9000")):
        path.parent.mkdir()
        path.write_text(COUNTER.read_text().replace("count = 0", begin))
    return str(old), str(new)


def test_a_model_rolled_back_finds_no_state_of_the_one_between(kafka, topics, models):
    """With one partition idle while the new one runs."""
    old, new = models
    source, out = topics["input_topic"], topics["output_topic"]
    for partition in (0, 1):
        _send(kafka, source, 5, partition)
    score_topic(old, kafka.servers, **topics)
    _send(kafka, source, 5, 0)
    score_topic(new, kafka.servers, on_state_mismatch="rebuild", **topics)
    assert _values(kafka, out, 0)[-1] == 9010
    for partition in (0, 1):
        _send(kafka, source, 6, partition)
    refused = run("run", old, bootstrap_servers=kafka.servers, until_end=True, **topics)
    assert refused.returncode == 3
    assert "saved by another model" in refused.stderr
    score_topic(old, kafka.servers, on_state_mismatch="rebuild", **topics)
    assert (_values(kafka, out, 0)[-1], _values(kafka, out, 1)[-1]) == (16, 11)


def test_what_was_rebuilt_is_saved_though_no_record_comes(kafka, topics, models):
    old, new = models
    for partition in (0, 1):
        _send(kafka, topics["input_topic"], 5, partition)
    score_topic(old, kafka.servers, **topics)
    done = score_topic(new, kafka.servers, on_state_mismatch="rebuild", **topics)
    assert done.stderr.count("rebuilding sessions") == 2
    done = score_topic(new, kafka.servers, on_state_mismatch="fail", **topics)
    assert "restored 1 sessions" in done.stderr


def test_the_attachment_belongs_to_the_model(kafka, topics, tmp_path):
    import tarfile

    archives = []
    for text in ("one", "two"):
        (tmp_path / "weights.txt").write_text(text)
        archives.append(tmp_path / f"{text}.tar.gz")
        with tarfile.open(archives[-1], "w:gz") as archive:
            archive.add(tmp_path / "weights.txt", "weights.txt")
    _send(kafka, topics["input_topic"], 5)
    score_topic(str(COUNTER), kafka.servers, attachment=archives[0], **topics)
    score_topic(str(COUNTER), kafka.servers, attachment=archives[0], **topics)
    refused = run(
        "run", str(COUNTER), bootstrap_servers=kafka.servers, attachment=archives[1], until_end=True, **topics
    )
    assert refused.returncode == 3
    assert "saved by another model" in refused.stderr


def test_two_services_whose_names_join_to_the_same_have_each_a_changelog(kafka, name):
    """Group a on topic b.c, and group a.b on topic c."""
    first, second, third = name("a"), name("b"), name("c")
    pairs = [(first, kafka.create(f"{second}.{third}")), (f"{first}.{second}", kafka.create(third))]
    outs = [kafka.create(name(f"out-{number}")) for number in range(2)]
    for _ in range(2):
        for (group, topic), out in zip(pairs, outs, strict=True):
            _send(kafka, topic, 3)
            score_topic(str(COUNTER), kafka.servers, group=group, input_topic=topic, output_topic=out)
    assert [_values(kafka, out) for out in outs] == [[1, 2, 3, 4, 5, 6]] * 2


def test_a_changelog_of_an_earlier_version_is_found_and_only_by_its_owner(kafka, name):
    first, second, third = name("a"), name("b"), name("c")
    mine = {"group": first, "input_topic": kafka.create(f"{second}.{third}"), "output_topic": kafka.create(name("o1"))}
    other = {"group": f"{first}.{second}", "input_topic": kafka.create(third), "output_topic": kafka.create(name("o2"))}
    former = former_changelog_name(first, mine["input_topic"])
    assert former == former_changelog_name(other["group"], third)
    _send(kafka, mine["input_topic"], 3)
    score_topic(str(COUNTER), kafka.servers, changelog_topic=former, **mine)
    _send(kafka, mine["input_topic"], 3)
    done = score_topic(str(COUNTER), kafka.servers, **mine)
    assert f"state is on {former}, the name that an earlier version gave to the changelog" in done.stderr
    assert _values(kafka, mine["output_topic"]) == [1, 2, 3, 4, 5, 6]
    _send(kafka, third, 3)
    score_topic(str(COUNTER), kafka.servers, **other)
    assert changelog_name(other["group"], third) in kafka.admin.list_topics(timeout=10).topics


def test_a_changelog_shared_by_hand_is_told(kafka, topics, name):
    _send(kafka, topics["input_topic"], 3)
    shared = name("shared")
    score_topic(str(COUNTER), kafka.servers, changelog_topic=shared, **topics)
    other = {**topics, "input_topic": kafka.create(name("other"), 2), "group": name("another")}
    _send(kafka, other["input_topic"], 3)
    refused = run("run", str(COUNTER), bootstrap_servers=kafka.servers, changelog_topic=shared, until_end=True, **other)
    assert refused.returncode == 3
    assert f"state of {topics['input_topic']}[0]" in refused.stderr
    assert "--changelog-topic" in refused.stderr
    group = {**topics, "group": name("same-topic")}
    kafka.send(topics["input_topic"], [{"value": struct.pack("<d", 1.0), "key": b"k", "partition": 0}])
    score_topic(str(COUNTER), kafka.servers, **{**group, "changelog_topic": name("own")})
    refused = run("run", str(COUNTER), bootstrap_servers=kafka.servers, changelog_topic=shared, until_end=True, **group)
    assert refused.returncode == 3
    assert "the saved state at 3" in refused.stderr


def test_another_session_mode_is_told(kafka, topics):
    _send(kafka, topics["input_topic"], 3, key=None)
    score_topic(str(COUNTER), kafka.servers, **topics)
    refused = run("run", str(COUNTER), bootstrap_servers=kafka.servers, session="partition", until_end=True, **topics)
    assert refused.returncode == 3
    assert "the state was saved with session 'key', and this service has session 'partition'" in refused.stderr
    _send(kafka, topics["input_topic"], 2, key=b"other")
    score_topic(str(COUNTER), kafka.servers, session="partition", on_state_mismatch="rebuild", **topics)
    assert _values(kafka, topics["output_topic"]) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("policy", ["delete", "compact,delete"])
def test_a_changelog_that_forgets_is_refused(policy, kafka, topics, name):
    changelog = kafka.create(name("changelog"), 2, cleanup_policy=policy)
    refused = run(
        "run", str(COUNTER), bootstrap_servers=kafka.servers, changelog_topic=changelog, until_end=True, **topics
    )
    assert refused.returncode == 2
    assert f"changelog {changelog!r} has cleanup.policy={policy}" in refused.stderr
    assert "--add-config cleanup.policy=compact" in refused.stderr
