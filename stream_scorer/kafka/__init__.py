"""Clients of Kafka, each for one task: source, sink, reader, changelog, dead letters, questions to the cluster."""
