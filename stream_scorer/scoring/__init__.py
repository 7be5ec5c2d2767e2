"""One model wired to codecs, sessions and a scorer. Scores batches of records; does no I/O of its own."""
