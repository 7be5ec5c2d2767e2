"""What an error of librdkafka means: which of our errors it becomes, and what a person can do about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

from stream_scorer.errors import BrokerError, CommitAborted, Fenced, Refused, StreamScorerError, Unavailable
from stream_scorer.kafka.rights import CLUSTER, GROUP, TOPIC, TRANSACTIONAL_ID, NotAllowed

_T = TypeVar("_T")

FENCED = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)
AWAY = (  # a broker that is down, starting, or handing over
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._MSG_TIMED_OUT,
    KafkaError._STATE,
    KafkaError._WAIT_COORD,
    KafkaError._WAIT_CACHE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.NOT_CONTROLLER,
    KafkaError.UNSTABLE_OFFSET_COMMIT,
)
TOPIC_GONE = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)
MISSING = (*TOPIC_GONE, KafkaError._UNKNOWN_PARTITION)
"""For a producer. A reader gets _UNKNOWN_PARTITION also from a broker that was paused and is not yet back in its cluster: that
one names topics without their partitions. So a reader waits then."""
UNAUTHORISED = {  # what was not allowed: an operation on a resource of this kind
    KafkaError.TOPIC_AUTHORIZATION_FAILED: TOPIC,
    KafkaError.GROUP_AUTHORIZATION_FAILED: GROUP,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: TRANSACTIONAL_ID,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: CLUSTER,
}


_SIZE = (
    "Larger than the topic takes? Its max.message.bytes is 1,048,588 unless set; raise it, and --kafka "
    "message.max.bytes=N with it, or make what is sent smaller."
)
_TIME = (
    "The topic takes no such timestamp: message.timestamp.after.max.ms (one hour ahead unless set) and "
    "message.timestamp.before.max.ms on the topic say which."
)
_RECORD = (
    "A topic with cleanup.policy=compact takes no record without a key: give records keys, or the topic "
    "cleanup.policy=delete."
)
REFUSED = {  # one record is at fault, not the user or the topic: why, and what to change
    KafkaError.MSG_SIZE_TOO_LARGE: _SIZE,
    KafkaError.RECORD_LIST_TOO_LARGE: _SIZE,
    KafkaError.INVALID_TIMESTAMP: _TIME,
    KafkaError.INVALID_RECORD: _RECORD,
    KafkaError.INVALID_MSG: _RECORD,  # so said brokers before 2.5
    KafkaError._INVALID_DIFFERENT_RECORD: _RECORD,
    KafkaError._BAD_MSG: "librdkafka cannot write such a record.",
}


def classify(error: KafkaError) -> StreamScorerError:
    """Our error for an error of a producer. Codes that only a person can mend come first, then librdkafka's own flags."""
    text = f"{error.str()} ({error.name()})"
    code = error.code()
    if code in UNAUTHORISED:
        return NotAllowed(text, UNAUTHORISED[code])
    if code == KafkaError.KAFKA_STORAGE_ERROR:
        return BrokerError(f"{text}. The broker cannot write to its disk (full?); see its log.")
    if code in MISSING:
        return BrokerError(f"{text}. A topic we write to is gone or has too few partitions.")
    if code in FENCED:
        return Fenced(
            f"{text}. Another producer with this transactional id has started, or a transaction took longer than "
            "transaction.timeout.ms. Give each service of a group its own --instance."
        )
    if code in REFUSED and not error.fatal():
        return Refused(f"{text}. {REFUSED[code]}")
    if error.txn_requires_abort():
        return CommitAborted(text)
    if is_fatal(error):
        return Fenced(text)
    if error.retriable() or code in AWAY:
        return Unavailable(text)
    return BrokerError(f"{text}. Does the broker allow this? See its log.")


def raised(error: KafkaException | SystemError) -> StreamScorerError:
    """As `classify`, for an error that came out of `poll` or `flush` of a producer, which report its fatal errors so.

    If a callback has an error of its own at that moment, Python makes a SystemError of both.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KafkaException):
        cause = cause.__cause__ or cause.__context__
    return classify(cause.args[0]) if cause is not None else BrokerError(f"librdkafka: {error}")


def persist(
    call: Callable[[float], _T],
    each_s: float,
    patience_s: Callable[[], float],
    again: Callable[[KafkaError], bool] = lambda error: error.retriable(),
) -> _T:
    """Calls `call` until it succeeds, as long as `again` says that another try may help. Returns its result.

    Blocks. Raises the last KafkaException.

    Args:
        each_s: the argument of each call: how long it may block.
        patience_s: how long to go on, from the first call on. Called after each failure.
    """
    began = time.monotonic()
    while True:
        try:
            return call(each_s)
        except KafkaException as error:
            if not again(error.args[0]) or time.monotonic() - began > patience_s():
                raise
            time.sleep(0.05)


def may_pass(error: KafkaError) -> bool:
    """Whether asking a group's coordinator again may help."""
    return error.retriable() or error.code() in (
        KafkaError._TIMED_OUT,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
        KafkaError._WAIT_COORD,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
    )


def is_fatal(error: KafkaError) -> bool:
    """Whether the client that raised it is finished. `produce` and consumers give the code without the flag."""
    return error.fatal() or error.code() == KafkaError._FATAL


_INSTANCE = (
    "Another service has joined the group with this --kafka group.instance.id, or one that died held it: with "
    "group.protocol=consumer its session has to end first. Give each service one of its own."
)
NOT_A_MEMBER = {  # the group refuses this consumer, and will for as long as neither changes: what to change
    KafkaError.FENCED_INSTANCE_ID: _INSTANCE,
    KafkaError.UNRELEASED_INSTANCE_ID: _INSTANCE,
    KafkaError.INVALID_SESSION_TIMEOUT: "--kafka session.timeout.ms must lie between the broker's "
    "group.min.session.timeout.ms and group.max.session.timeout.ms.",
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: "The members of a group must share a strategy: give this service the "
    "--kafka partition.assignment.strategy and group.protocol of the others, another --group, or stop them first.",
    KafkaError.GROUP_MAX_SIZE_REACHED: "The group has as many members as the broker's group.max.size allows.",
    KafkaError.UNSUPPORTED_ASSIGNOR: "The broker does not have the --kafka group.remote.assignor.",
    KafkaError.INVALID_GROUP_ID: "The broker does not take the name of this --group.",
}


def is_final(error: KafkaError) -> bool:
    """Whether the consumer that raised it will never read again."""
    return is_fatal(error) or error.code() in NOT_A_MEMBER


def finished(error: KafkaError) -> BrokerError:
    """Our error for one that is final."""
    advice = NOT_A_MEMBER.get(error.code(), _INSTANCE if "instance" in error.str().lower() else "")
    return BrokerError(f"the consumer cannot go on: {error.str()} ({error.name()}). {advice}".rstrip())


def unreachable(where: str, error: KafkaError, missing: Collection[int] = TOPIC_GONE) -> BrokerError | Unavailable:
    """Our error for a call that reads: Unavailable unless only a person can mend it. `where` begins the text.

    `missing`: the codes that say for certain that there is no such topic or partition.

    A broker that comes back answers with several other codes first. A reader that waits does no harm: it logs that, and
    the service is not ready.
    """
    text = f"{where}: {error.str()} ({error.name()})"
    if error.code() in UNAUTHORISED:
        return NotAllowed(text, UNAUTHORISED[error.code()])
    return BrokerError(text) if is_fatal(error) or error.code() in missing else Unavailable(text)
