"""Records through the ModelOp engine, without its API and over HTTP: a simple model in jets, JSON in and out.

"per core" is per second of CPU of the engine and its jets together; clients in other processes do not count.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import threading
import time
from typing import Any

from bench import engine_http
from bench.figures import HIGHER, LOWER, medians_of, quantile, ratio
from stream_scorer.errors import EndOfInput, StreamScorerError
from support.manifold import DISCARD, REST, Engine, inline, package, until

MODEL = "def action(x):\n    yield {'id': x['id'], 'score': 2 * x['value'] + 1}\n"
ROUNDS = 3
RECORDS = [b'{"id": %d, "value": %d.5}' % (at, at % 100) for at in range(20_000)]
BATCHED = {**REST, "Batching": {"Watermark": 1000, "NagleTime": 0}}


def run(share: float) -> dict[str, Any]:
    seconds = max(2.0 * share, 0.5)
    jobs = {
        "inline -> jet -> discard": lambda: _inline(1, seconds),
        "inline -> 2 jets -> discard": lambda: _inline(2, seconds),
        "REST -> jet -> REST, clients in the engine's process": lambda: _rest(seconds),
    }
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in jobs}
    plain: list[float] = []
    http: list[dict[str, Any]] = []
    for _ in range(ROUNDS):
        plain.append(_plain_loop(seconds / 2))
        for name, job in jobs.items():
            rounds[name].append(job())
        http.append(engine_http.rounds(MODEL, seconds))
    for name in engine_http.CLIENTS:
        rounds[name] = [figures[name] for figures in http]
    result: dict[str, Any] = {"plain loop": {"records_per_s": statistics.median(plain)}}
    print(f"{'':54} {'records/s':>10} {'per core':>10} {'CPU us/record: all':>19} {'jets':>6}")
    print(f"{'json.loads, action, json.dumps in a plain loop':54} {statistics.median(plain):10,.0f}")
    for name, measured in rounds.items():
        middle = result[name] = medians_of(measured)
        print(
            f"{name:54} {middle['records_per_s']:10,.0f} {middle['records_per_cpu_s']:10,.0f} "
            f"{middle['cpu_us_per_record']:19.2f} {middle['jets_us_per_record']:6.2f}"
        )
    for name in engine_http.CLIENTS:
        print("{}: {inputs_per_s:,.0f} inputs/s, {outputs_per_s:,.0f} outputs/s".format(name, **result[name]))
    result["round trip"] = _round_trips(max(int(2000 * share), 100))
    result["round trip over HTTP"] = medians_of([figures["round trip over HTTP"] for figures in http])
    for name in ("round trip", "round trip over HTTP"):
        print(f"{name}: " + "{median_us:,.0f} us, 99 of 100 within {p99_us:,.0f} us".format(**result[name]))
    one_jet, two_jets, rest_stream = jobs
    lone, several = engine_http.CLIENTS

    def over(upper: list[float], lower: list[float], better: str) -> dict[str, Any]:
        return ratio([above / below for above, below in zip(upper, lower, strict=True)], better)

    def each(name: str, key: str) -> list[float]:
        return [figures[key] for figures in rounds[name]]

    result["ratios"] = {
        "records/s per core, engine / plain loop": over(each(one_jet, "records_per_cpu_s"), plain, HIGHER),
        "records/s, 2 jets / 1 jet": over(each(two_jets, "records_per_s"), each(one_jet, "records_per_s"), HIGHER),
        "CPU, REST / inline": over(each(rest_stream, "cpu_us_per_record"), each(one_jet, "cpu_us_per_record"), LOWER),
        "CPU, HTTP / REST": over(each(lone, "cpu_us_per_record"), each(rest_stream, "cpu_us_per_record"), LOWER),
        "records/s, HTTP, 4 clients / 1": over(each(several, "records_per_s"), each(lone, "records_per_s"), HIGHER),
    }
    return result


def _inline(jets: int, seconds: float) -> dict[str, float]:
    engine = Engine()
    try:
        engine.scale(jets)
        engine.load(package(MODEL))
        engine.attach(1, "out", DISCARD)
        engine.attach(0, "in", inline(*(record.decode() for record in RECORDS), Loop=True))
        until(lambda: len(engine.pids()) == jets)
        time.sleep(0.2)
        return _figures(engine.cpu(seconds))
    finally:
        engine.close()


def _rest(seconds: float) -> dict[str, float]:
    engine = Engine()
    try:
        engine.run_model(MODEL, {0: BATCHED, 1: REST})
        until(engine.pids)
        client = threading.Thread(target=_client, args=(engine,))
        client.start()
        time.sleep(0.2)
        figures = _figures(engine.cpu(seconds))
    finally:
        engine.close()
    client.join()
    return figures


def _client(engine: Engine, ahead: int = 4000) -> None:
    """Posts records and fetches the output of each, at most `ahead` records behind, until the engine is closed."""
    with contextlib.suppress(StreamScorerError, EndOfInput):
        for _ in range(ahead):
            engine.input(0, RECORDS[0])
        while True:
            for record in RECORDS[:1000]:
                engine.input(0, record)
            for _ in range(1000):
                engine.output(1)


def _round_trips(count: int) -> dict[str, float]:
    engine = Engine()
    try:
        engine.run_model(MODEL, {0: BATCHED, 1: REST})
        engine.roundtrip(0, 1, RECORDS[0])
        times = []
        for at in range(count):
            began = time.perf_counter()
            engine.roundtrip(0, 1, RECORDS[at % len(RECORDS)])
            times.append(1e6 * (time.perf_counter() - began))
    finally:
        engine.close()
    return {"median_us": statistics.median(times), "p99_us": quantile(times, 0.99)}


def _plain_loop(seconds: float) -> float:
    """Records per second of CPU of the model and its JSON alone."""
    namespace: dict[str, Any] = {}
    exec(MODEL, namespace)
    action, count, began = namespace["action"], 0, time.process_time()
    while time.process_time() - began < seconds:
        for record in RECORDS[:1000]:
            for output in action(json.loads(record)):
                json.dumps(output).encode()
        count += 1000
    return count / (time.process_time() - began)


def _figures(used: dict[str, Any]) -> dict[str, float]:
    records, cpu = used["output_records"], used["user_time"] + used["kernel_time"]
    jets = sum(jet["user_time"] + jet["kernel_time"] for jet in used["jets"])
    return {
        "records_per_s": records / used["duration"],
        "records_per_cpu_s": records / cpu,
        "cpu_us_per_record": 1e6 * cpu / records,
        "jets_us_per_record": 1e6 * jets / records,
    }
