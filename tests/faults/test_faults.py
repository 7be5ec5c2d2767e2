"""The second promise, on a real Kafka: nothing lost, nothing twice, whatever happens to the service or the broker."""

from __future__ import annotations

import random
import signal
import time
import urllib.error
import urllib.request

import pytest

from support.brokers import free_ports
from tests.support.faults import Job
from tests.support.proxy import Proxy

pytestmark = [pytest.mark.broker, pytest.mark.slow]

GROUPS = {
    "eager": ["partition.assignment.strategy=range"],
    "cooperative": ["partition.assignment.strategy=cooperative-sticky"],
    "kip848": ["group.protocol=consumer"],
}


@pytest.mark.parametrize(
    ("kills", "records", "batch", "longest_s"),
    [(30, 12_000, 20, 0.25), pytest.param(1_000, 1_000_000, 200, 1.5, marks=pytest.mark.soak)],
    ids=["30", "1000"],
)
def test_kill_nine_at_random_moments(kills, records, batch, longest_s, kafka, name, tmp_path):
    """A static member, so that each life begins at once with the partitions of the last one.

    Batches and lives are so large and long that the kills are spread over the records.
    """
    job = Job(kafka, name("kill"), records=records, keys=300)
    job.start()
    rng = random.Random(9)
    while job.counts["kills"] < kills:
        service = job.service(tmp_path, kafka=["group.instance.id=only"], batch=batch)
        if rng.random() < 0.9:
            service.wait_for("assigned ")
        time.sleep(rng.uniform(0, longest_s))
        service.kill()
        job.counts["kills"] += 1
    with job.service(tmp_path, kafka=["group.instance.id=only"]) as last:
        job.finish(90 + records / 1_000)
    job.judge(*_logs(tmp_path, last))


@pytest.mark.parametrize("protocol", GROUPS)
def test_workers_join_leave_and_die(protocol, kafka, name, tmp_path):
    """Two and three workers, some stopped and some killed, under each kind of group."""
    job = Job(kafka, name(f"workers-{protocol}"), records=6_000, pace=500)
    rng = random.Random(protocol)
    start = lambda: job.service(tmp_path, kafka=GROUPS[protocol])  # noqa: E731
    workers = [start(), start()]
    started = list(workers)
    workers[0].wait_for("assigned ")
    job.start()
    for _ in range(5):
        time.sleep(rng.uniform(0.5, 1.5))
        if len(workers) < 3:
            workers.append(start())
            started.append(workers[-1])
            workers[-1].wait_for("ready: ")
            continue
        leaver = workers.pop(rng.randrange(len(workers)))
        if job.counts["kills"] == 0:
            leaver.kill()
            job.counts["kills"] += 1
        else:
            assert leaver.stop() == 0
    job.finish()
    for worker in workers:
        assert worker.stop() == 0
    job.judge(*started)


@pytest.mark.parametrize("protocol", GROUPS)
def test_members_come_and_go_while_records_are_gathered(protocol, kafka, name, tmp_path):
    """A partition may leave and come back within one poll, while records of it are at hand."""
    job = Job(kafka, name(f"gathered-{protocol}"), records=2_000, pace=150)
    how = {"kafka": GROUPS[protocol], "commit_interval": 1.5, "batch": 10_000}
    with job.service(tmp_path, **how) as stays:
        stays.wait_for("assigned ")
        job.start()
        started = [stays]
        for _ in range(3):
            with job.service(tmp_path, **how) as guest:
                started.append(guest)
                guest.wait_for("assigned ")
                assert guest.stop() == 0
        job.finish()
        assert stays.stop() == 0
    job.judge(*started)


def test_broker_stopped_killed_and_started_again(own_broker, own_kafka, name, tmp_path):
    """The service waits, says that it is not ready, and goes on by itself."""
    job = Job(own_kafka, name("broker"), records=6_000, pace=400)
    (port,) = free_ports(1)
    with job.service(tmp_path, http=port) as service:
        service.wait_for("assigned ")
        job.start()
        time.sleep(2)
        own_broker.pause()
        time.sleep(6)
        own_broker.resume()
        time.sleep(3)
        _comes_to_answer(200, port, service)
        own_broker.kill()
        _comes_to_answer(503, port, service)
        time.sleep(2)
        own_broker.start()
        job.finish(150)
        _comes_to_answer(200, port, service)
        assert service.stop() == 0
    job.judge(service)


@pytest.mark.parametrize("times", [1, pytest.param(7, marks=pytest.mark.soak)])
def test_broker_fenced_then_killed_and_started_again(times, own_broker, own_kafka, name, tmp_path):
    """Paused past its session with the controller, 9 s by default: it then has no leader for a while, and a coordinator
    skips the markers of transactions that time out. They hang, over restarts too, unless somebody ends them."""
    job = Job(own_kafka, name("fenced"), records=6_000 * times, pace=300)
    with job.service(tmp_path) as service:
        service.wait_for("assigned ")
        job.start()
        for _ in range(times):
            time.sleep(2)
            own_broker.pause()
            time.sleep(11)
            own_broker.resume()
            time.sleep(1)
            own_broker.kill()
            own_broker.start()
        job.finish(150)
        assert service.stop() == 0
    job.judge(service)


@pytest.mark.parametrize("reset", [False, True], ids=["bytes-late", "connections-lost"])
def test_network_cut_between_service_and_broker(reset, own_broker, own_kafka, name, tmp_path):
    job = Job(own_kafka, name("network"), records=5_000, pace=500, servers=own_broker.proxied)
    proxy = Proxy(int(own_broker.proxied.rpartition(":")[2]), own_broker.behind_proxy)
    try:
        with job.service(tmp_path) as service:
            service.wait_for("assigned ")
            job.start()
            for seconds in (0.5, 3, 8):
                time.sleep(1.5)
                proxy.cut()
                time.sleep(seconds)
                proxy.mend(reset=reset)
            job.finish(150)
            assert service.stop() == 0
    finally:
        proxy.close()
    job.judge(service)


def test_a_zombie_that_wakes_after_its_partitions_moved(kafka, name, tmp_path):
    """Stopped in the midst of its work, again and again, while another takes over; then it wakes."""
    job = Job(kafka, name("zombie"), records=6_000, pace=600)
    with job.service(tmp_path) as zombie:
        zombie.wait_for("assigned ")
        job.start()
        time.sleep(1)
        with job.service(tmp_path) as heir:
            heir.wait_for("ready: ")
            for _ in range(2):
                zombie.signal(signal.SIGSTOP)
                time.sleep(5)
                zombie.signal(signal.SIGCONT)
                time.sleep(1.5)
            job.finish()
            assert heir.stop() == 0
        assert zombie.stop() == 0
    job.judge(zombie, heir)


@pytest.mark.soak
def test_soak(own_broker, own_kafka, name, tmp_path, pytestconfig):
    """Everything at once, at random, for as long as --soak says."""
    seconds = pytestconfig.getoption("--soak") * 60
    job = Job(own_kafka, name("soak"), records=int(seconds * 150), pace=150, keys=300)
    rng = random.Random(30)
    workers, started = [], []
    job.start()
    end = time.monotonic() + seconds
    next_broker_fault = time.monotonic() + 60
    while time.monotonic() < end:
        workers = [worker for worker in workers if worker.process.poll() is None]
        if time.monotonic() > next_broker_fault:
            next_broker_fault = time.monotonic() + 120
            _disturb(own_broker, rng, job)
        elif len(workers) < 2 or (len(workers) < 4 and rng.random() < 0.3):
            workers.append(job.service(tmp_path, kafka=GROUPS["cooperative"]))
            started.append(workers[-1])
        else:
            _disturb_worker(workers, rng, job)
        time.sleep(rng.uniform(1, 8))
    if not [worker for worker in workers if worker.process.poll() is None]:
        workers.append(job.service(tmp_path))
        started.append(workers[-1])
    job.finish(300)
    for worker in workers:
        if worker.process.poll() is None:
            assert worker.stop() == 0
    job.judge(*started)


def _comes_to_answer(wanted, port, service, seconds=120):
    """Wait until /readyz answers with this status code."""
    deadline = time.monotonic() + seconds
    text = ""
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                code, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                code, text = error.code, error.read().decode()
        except OSError as error:  # slow to answer: asked again until the deadline
            code, text = None, repr(error)
        if code == wanted:
            return
        time.sleep(0.2)
    raise AssertionError(f"no {wanted} in {seconds} s, but {code} {text!r}:\n{service.text()[-8000:]}")


def _disturb(broker, rng, job):
    job.counts["broker faults"] += 1
    if rng.random() < 0.5:
        broker.pause()
        time.sleep(rng.uniform(1, 10))
        broker.resume()
    else:
        broker.kill()
        time.sleep(rng.uniform(0, 10))
        broker.start()


def _disturb_worker(workers, rng, job):
    worker = rng.choice(workers)
    what = rng.choice(["kill", "stop", "freeze"])
    if what == "freeze":
        worker.signal(signal.SIGSTOP)
        time.sleep(rng.uniform(1, 8))
        worker.signal(signal.SIGCONT)
        return
    workers.remove(worker)
    if what == "kill":
        worker.kill()
        job.counts["kills"] += 1
    else:
        worker.stop(60)


class _Log:
    def __init__(self, path):
        self.log = path


def _logs(folder, *_):
    return [_Log(path) for path in folder.glob("service-*.log")]
