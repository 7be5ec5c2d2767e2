"""Speed of scoring, of the path through Kafka and of restoring state: ratios in one run, never asserted."""
