"""The ModelOp engine: its streams, its processes, its REST API, and a client of it."""
