"""A client of any engine that speaks the ModelOp (FastScore) REST API, ours or the vendor's."""
