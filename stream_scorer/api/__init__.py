"""The public API of Python, as `stream_scorer.open_model` and its neighbours give it. Uses the parts that `run` uses."""
