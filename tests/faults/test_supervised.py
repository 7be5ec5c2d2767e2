"""The second promise with `--workers 2`: workers crash and hang, and their supervisor is killed."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.support.faults import Job

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def test_supervised_workers_and_one_that_crashes(kafka, name, tmp_path):
    """--workers 2: the supervisor starts a killed worker again, and SIGTERM stops all."""
    job = Job(kafka, name("supervised"), records=4_000, pace=800)
    with job.service(tmp_path, workers=2) as service:
        service.wait_for("assigned ")
        job.start()
        for _ in range(2):
            time.sleep(1)
            os.kill(service.workers()[-1], signal.SIGKILL)
            job.counts["kills"] += 1
            service.wait_for(f"ended with {-signal.SIGKILL}")
            time.sleep(1)
        job.finish()
        assert service.stop() == 0
    job.judge(service)


def test_a_supervised_worker_that_hangs_is_replaced(kafka, name, tmp_path):
    """Stopped in the midst of its work for longer than its group waits: killed, and its successor ends what it left."""
    job = Job(kafka, name("hung"), records=4_000, pace=500)
    with job.service(tmp_path, workers=2, kafka=["max.poll.interval.ms=6000"]) as service:
        service.wait_for_times(" ready: ", 2)
        service.wait_for("assigned ")
        job.start()
        for number, worker in enumerate(service.workers()):
            time.sleep(1)
            os.kill(worker, signal.SIGSTOP)
            job.counts["kills"] += 1  # its supervisor does it
            service.wait_for(f"worker {number} ended with {-signal.SIGKILL}")
        job.finish()
        assert service.stop() == 0
    job.judge(service)


def test_a_supervisor_that_is_killed_leaves_no_worker(kafka, name, tmp_path):
    job = Job(kafka, name("orphans"), records=4_000, pace=500)
    services = []
    for life in range(3):
        services.append(job.service(tmp_path, workers=2))
        services[-1].wait_for("assigned ")
        if life == 0:
            job.start()
        time.sleep(1)
        if life < 2:
            services[-1].kill()
            job.counts["kills"] += 1
            services[-1].wait_for_no_worker()
    job.finish()
    assert services[-1].stop() == 0
    job.judge(*services)
