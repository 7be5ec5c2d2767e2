"""Runs ModelOp (FastScore) Python models on Kafka topics, exactly once."""

__version__ = "0.1.0"
