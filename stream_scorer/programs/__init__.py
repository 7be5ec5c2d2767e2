"""One file for each program besides the service and the engine, which puts its parts together: score, verify, demo."""
