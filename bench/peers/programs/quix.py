"""Quix Streams, exactly once: stateful apply, windows in RocksDB with a changelog.

Settings: a checkpoint a second (5 s by default): nothing is visible before one, so a longer interval would
only be waited for. The state is taken out and put back once per record, as its documentation has it; the
framework calls a function per record, so the lstm goes through the module's rolling `action`. Its `double` is
big-endian and not Avro's, hence bytes.
"""

from __future__ import annotations

from typing import Any

from quixstreams import Application

from bench.peers.programs.lane import decode, encode, model, task


def main() -> None:
    it = task()
    step = model(it.job).step
    app = Application(
        broker_address=it.servers,
        consumer_group=it.group,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=1.0,
        consumer_extra_config={"isolation.level": "read_committed"},
        loglevel="WARNING",
    )
    source = app.topic(it.source, key_deserializer="bytes", value_deserializer="bytes")
    target = app.topic(it.target, key_serializer="bytes", value_serializer="bytes")

    def score(value: bytes, state: Any) -> bytes | None:
        window, scored = step(state.get("window") or [], decode(value))
        state.set("window", window)
        return None if scored is None else encode(scored)

    scores = app.dataframe(source).apply(score, stateful=True)
    scores.filter(lambda scored: scored is not None).to_topic(target)
    app.run()


if __name__ == "__main__":
    main()
