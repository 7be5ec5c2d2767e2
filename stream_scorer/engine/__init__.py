"""The loop and the scoring of one batch. No I/O of its own: it knows ports only."""
