"""Sessions: the state of one model for many keys."""
