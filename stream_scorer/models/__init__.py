"""The shipped models: modules, byte for byte as they are exported, with their attachments and schemas."""
