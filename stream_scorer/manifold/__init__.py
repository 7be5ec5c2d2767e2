"""Moves records between streams and jets: the ModelOp engine without its REST API."""
