"""An answer of a broker with an error in a part of it is an error: nothing is read into what did not come."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from stream_scorer.errors import BrokerError, SettingsError, Unavailable
from stream_scorer.kafka import admin as kafka_admin
from stream_scorer.kafka import answers as kafka_answers
from stream_scorer.kafka import end_offsets as kafka_ends
from stream_scorer.kafka import retention as kafka_retention
from stream_scorer.kafka import topic_ids as kafka_topic_ids
from stream_scorer.kafka.admin import Cluster
from stream_scorer.kafka.positions import Positions
from stream_scorer.modelop.endpoints import kafka as kafka_endpoint
from stream_scorer.records import Partition
from tests.support.messages import answer

FILES = [*Path(kafka_answers.__file__).parent.glob("*.py"), Path(kafka_endpoint.__file__)]
ONE, TWO = Partition("prices", 0), Partition("prices", 1)
MOVED = KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION, "not the leader")
LOADS = KafkaError(KafkaError.COORDINATOR_LOAD_IN_PROGRESS, "loads")


def half(*_, **__):
    """Of the second partition there is no answer: the offset then says what it says where there is nothing."""
    return [answer(ONE, 7), answer(TWO, -1, MOVED)]


def alone(*_, **__):
    return [answer(ONE, -1, MOVED)]


def topic(partitions=(), error=None):
    return SimpleNamespace(partitions=dict.fromkeys(partitions), error=error)


def metadata(brokers=(1,), controller_id=1, cluster_id="abc", **topics):
    return SimpleNamespace(
        brokers=dict.fromkeys(brokers), controller_id=controller_id, cluster_id=cluster_id, topics=topics
    )


def client(**answers):
    return SimpleNamespace(close=lambda: None, poll=lambda _: None, **answers)


ENDS = client(offsets_for_times=half, committed=half)
TIMES = client(get_watermark_offsets=lambda *_, **__: (0, 9), offsets_for_times=alone)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: kafka_answers.offsets(ENDS, [ONE, TWO], kafka_answers.END, 1),
        lambda: kafka_answers.committed(ENDS, [ONE, TWO], 1),
        lambda: kafka_answers.begin_at(TIMES, ONE, "2024-01-01", 1),  # else it would begin at the end
        lambda: kafka_answers.partitions_of(client(list_topics=lambda *_, **__: metadata(prices=topic())), "prices", 1),
        lambda: kafka_answers.partitions_of(client(list_topics=lambda *_, **__: metadata()), "prices", 1),
        lambda: kafka_answers.partitions_of(
            client(list_topics=lambda *_, **__: metadata(prices=topic([], MOVED))), "prices", 1
        ),
        lambda: kafka_answers.cluster(client(list_topics=lambda **_: metadata(brokers=())), 1),
    ],
)
def test_half_an_answer_is_an_error(ask):
    with pytest.raises(KafkaException):
        ask()


def test_which_partition_it_was_is_told():
    with pytest.raises(KafkaException) as found:
        kafka_ends.offsets(ENDS, [ONE, TWO])
    assert found.value.args[0].str() == "prices[1]: not the leader"


def test_a_time_after_the_last_record_is_the_end():
    late = client(get_watermark_offsets=lambda *_, **__: (0, 9), offsets_for_times=lambda *_, **__: [answer(ONE, -1)])
    assert kafka_answers.begin_at(late, ONE, "2024-01-01", 1)[0] == 9


def test_a_group_whose_coordinator_loads_is_asked_again():
    answers = [[answer(ONE, -1001, LOADS)], [answer(ONE, 5)]]
    loading = client(committed=lambda *_, **__: answers.pop(0))
    assert kafka_answers.committed_with_retries(loading, [ONE], 5)[ONE].offset == 5
    answers = [[answer(ONE, -1001, LOADS)], [answer(ONE, 5)]]
    unsure = []
    assert Positions(loading, {}).committed([ONE], lambda: None, unsure.append)[ONE].offset == 5
    assert unsure == [ONE]


def test_a_partition_that_is_not_read_yet_has_no_position():
    """Set up while another still is: its lag is not the whole topic."""
    assigned = []
    consumer = client(
        position=lambda places: [answer(Partition(at.topic, at.partition), -1001) for at in places],
        assign=assigned.extend,
        incremental_assign=assigned.extend,
    )
    positions = Positions(consumer, {})
    positions.start({ONE: 5})
    assert positions.now([ONE, TWO]) == {ONE: 5}


@pytest.mark.parametrize("ask", ["offsets_for_times", "committed"])
def test_nothing_is_said_to_be_gone_where_nobody_answered(monkeypatch, ask):
    def whole(places, timeout):
        return [answer(Partition(at.topic, at.partition), 4) for at in places]

    found = client(
        **{"offsets_for_times": whole, "committed": lambda places, timeout: [answer(ONE, -1001)], ask: alone}
    )
    monkeypatch.setattr(kafka_retention, "open_outside_group", lambda *_, **__: found)
    monkeypatch.setattr(kafka_retention, "TIMEOUT_S", 0.1)
    assert kafka_retention.find_deleted_unread({}, "prices", 1) == ([], False)


def test_what_is_gone_is_told(monkeypatch):
    found = client(
        offsets_for_times=lambda places, timeout: [answer(ONE, 4)],
        committed=lambda places, timeout: [answer(ONE, -1001)],
    )
    monkeypatch.setattr(kafka_retention, "open_outside_group", lambda *_, **__: found)
    assert kafka_retention.find_deleted_unread({}, "prices", 1) == ([4], True)


def test_a_broker_that_knows_of_no_broker_has_not_answered(monkeypatch):
    """A broker that was paused says so at first: the topics would seem to be gone, and to have no ids."""
    answers = [metadata(brokers=(), controller_id=-1), metadata(prices=topic([0, 1]))]
    found = client(list_topics=lambda **_: answers.pop(0))
    monkeypatch.setattr(kafka_admin, "open_client", lambda *_, **__: found)
    assert Cluster({"bootstrap.servers": "b:1"}).partitions("prices", "--input-topic") == 2
    monkeypatch.setattr(kafka_topic_ids, "open_client", lambda *_: client(list_topics=lambda **_: metadata(brokers=())))
    with pytest.raises(Unavailable, match="the answer names no broker"):
        kafka_topic_ids.TopicIds({}).look_up("prices")


def test_a_topic_that_another_made_meanwhile_has_the_partitions_that_it_has(monkeypatch):
    class Failed:
        def result(self, _):
            raise KafkaException(KafkaError(KafkaError.TOPIC_ALREADY_EXISTS, "Topic 'prices' already exists."))

    answers = [metadata(), metadata(prices=topic([0, 1, 2]))]
    found = client(list_topics=lambda **_: answers.pop(0), create_topics=lambda new: {new[0].topic: Failed()})
    monkeypatch.setattr(kafka_admin, "open_client", lambda *_, **__: found)
    cluster = Cluster({"bootstrap.servers": "b:1"})
    cluster.create("prices", 8)
    assert cluster.count("prices") == 3


class Unanswered:
    def result(self, _):
        raise TimeoutError


@pytest.mark.parametrize(
    ("cluster_id", "text"),
    [
        ("abc", "'prices' cannot be created at b:1: no answer in 10 s: the controller .* Try again"),
        ("mockCluster1", "'prices' cannot be created at b:1: no answer in 10 s: the embedded broker"),
    ],
)
def test_a_topic_that_nobody_confirms_is_an_error_of_the_broker(monkeypatch, cluster_id, text):
    found = client(
        list_topics=lambda **_: metadata(cluster_id=cluster_id),
        create_topics=lambda new: {new[0].topic: Unanswered()},
    )
    monkeypatch.setattr(kafka_admin, "open_client", lambda *_, **__: found)
    with pytest.raises(BrokerError, match=text):
        Cluster({"bootstrap.servers": "b:1"}).create("prices", 8)


def test_partitions_that_nobody_confirms_are_an_error_of_the_broker(monkeypatch):
    found = client(
        list_topics=lambda **_: metadata(prices=topic([0])), create_partitions=lambda new: {"prices": Unanswered()}
    )
    monkeypatch.setattr(kafka_admin, "open_client", lambda *_, **__: found)
    with pytest.raises(BrokerError, match="'prices' cannot get 3 partitions at b:1: no answer in 10 s"):
        Cluster({"bootstrap.servers": "b:1"}).add_partitions("prices", 3)


def test_what_was_made_though_the_answer_was_lost_is_there(monkeypatch):
    answers = [metadata(), metadata(prices=topic([0, 1])), metadata(prices=topic([0, 1, 2]))]
    found = client(
        list_topics=lambda **_: answers.pop(0),
        create_topics=lambda new: {"prices": Unanswered()},
        create_partitions=lambda new: {"prices": Unanswered()},
    )
    monkeypatch.setattr(kafka_admin, "open_client", lambda *_, **__: found)
    cluster = Cluster({"bootstrap.servers": "b:1"})
    cluster.create("prices", 2)
    cluster.add_partitions("prices", 3)
    assert cluster.count("prices") == 3


def test_a_configuration_that_nobody_gives_is_warned_of(monkeypatch):
    warnings = []
    found = client(
        list_topics=lambda **_: metadata(prices=topic([0])),
        describe_configs=lambda topics, **_: {topics[0]: Unanswered()},
    )
    monkeypatch.setattr(kafka_admin, "open_client", lambda *_, **__: found)
    assert Cluster({"bootstrap.servers": "b:1"}).configs(["prices"], warnings.append) == {}
    assert "'prices' could not be looked up (no answer in 10 s)" in warnings[0]


@pytest.mark.parametrize("counts", [(10**6, -1), (10**12, -1), (1, 10**12)])
def test_counts_that_librdkafka_refuses_are_an_error_of_the_settings(monkeypatch, counts):
    def refuse(new):
        raise ValueError("num_partitions out of expected range")

    found = client(list_topics=lambda **_: metadata(), create_topics=refuse)
    monkeypatch.setattr(kafka_admin, "open_client", lambda *_, **__: found)
    with pytest.raises(
        SettingsError, match=rf"'prices' .*--partitions {counts[0]} and --replication-factor {counts[1]}"
    ):
        Cluster({"bootstrap.servers": "b:1"}).create("prices", *counts)


def test_a_topic_without_partitions_in_the_answer_is_not_one_of_none(monkeypatch):
    answers = [metadata(prices=topic([], MOVED))]
    monkeypatch.setattr(kafka_admin, "open_client", lambda *_, **__: client(list_topics=lambda **_: answers.pop(0)))
    with pytest.raises(BrokerError, match="names none of its partitions now"):
        Cluster({"bootstrap.servers": "b:1"}).partitions("prices", "--input-topic")


QUESTIONS = {"list_topics", "get_watermark_offsets", "offsets_for_times", "consume"}


def test_questions_are_asked_and_clients_are_made_in_one_place():
    """Of each kind of call, the files that make it."""
    found = {}
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in QUESTIONS | {"Consumer", "Producer", "AdminClient"} or (
                    name == "committed" and any(one.arg == "timeout" for one in node.keywords)
                ):
                    found.setdefault(name, set()).add(file.stem)
    found["list_topics"].discard("embedded")  # asks its own broker, to have topics made
    answers = {"answers"}
    assert found == {
        "list_topics": answers,
        "get_watermark_offsets": answers,
        "offsets_for_times": answers,
        "committed": answers,
        "consume": {"reader"},
    }
