"""Moves records between streams and jets: the vendor's manifold, without its REST API."""
