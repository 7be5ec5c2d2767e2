"""Module files: their annotations, loading, state, attachments and bundles."""
