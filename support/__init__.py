"""Shared by tests and bench: a broker, topics, the service and the ModelOp engine as processes, small models."""
