"""Models run by the ModelOp contract: one model in one process of its own, and what its code may import of ours."""
