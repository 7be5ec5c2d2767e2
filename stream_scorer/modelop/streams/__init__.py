"""ModelOp streams: descriptors, envelopes, batching, and what is at their other ends."""
