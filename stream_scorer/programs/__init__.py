"""Composition roots of the programs beside the service and the engine: score, verify, demo."""
