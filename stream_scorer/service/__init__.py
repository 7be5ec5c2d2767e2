"""The Kafka service: the loop of one worker, its restore, its wiring, and what an operator needs around it."""
