"""Sessions: the state of one model for many keys, and how it is saved."""
