"""ModelOp streams: descriptors, envelopes, batching, and the opening of their transports."""
