"""One model in one process of its own, as the engine starts, feeds and ends it."""
