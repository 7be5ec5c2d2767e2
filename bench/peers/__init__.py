"""The service beside its peers: the same jobs on the same broker, measured from outside, every output checked."""
