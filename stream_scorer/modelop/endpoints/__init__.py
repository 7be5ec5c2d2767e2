"""The transports of ModelOp streams: files, HTTP, TCP, Kafka, S3 and others, as pieces of bytes in and out."""
