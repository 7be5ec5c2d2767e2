"""The transports of ModelOp streams: files, HTTP, TCP, Kafka, S3 and others, which deliver and take pieces of bytes."""
