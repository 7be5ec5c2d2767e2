"""Model files: their annotations, loading, state, attachments and bundles; the host that calls a model."""
