"""Faust, at least once (its default): a table in memory with a changelog.

Settings: the memory store, which is faster than RocksDB and restored from the changelog. One record at a
time, so the lstm goes through the module's rolling `action`: its batches (`take`) leave the event's context,
and outside of that a table cannot be changed. It reads uncommitted records unless it is exactly once.
"""

from __future__ import annotations

import faust

from bench.peers.programs.lane import decode, encode, model, task

it = task()
step = model(it.job).step
app = faust.App(it.group, broker=f"kafka://{it.servers}", store="memory://", web_enabled=False, topic_partitions=1)
source = app.topic(it.source, key_type=bytes, key_serializer="raw", value_type=bytes, value_serializer="raw")
target = app.topic(it.target, key_type=bytes, key_serializer="raw", value_type=bytes, value_serializer="raw")
windows = app.Table("windows", partitions=1)


@app.agent(source)
async def score(stream: faust.StreamT) -> None:
    async for key, value in stream.items():
        name = key.decode()
        windows[name], scored = step(windows.get(name) or [], decode(value))
        if scored is not None:
            await target.send(key=key, value=encode(scored))


if __name__ == "__main__":
    faust.Worker(app, loglevel="WARN").execute_from_commandline()
