"""Moves records between streams and processes: the vendor's manifold, without its REST API."""
