"""Where records come from and scores go: Kafka, lines of JSON, memory."""
