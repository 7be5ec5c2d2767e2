"""ModelOp's REST API on one port: Connect, Model Manage and engines, over ASGI."""
