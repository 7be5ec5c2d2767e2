"""What tests and bench share: a broker, topics, the service and the engine as processes, small models."""
