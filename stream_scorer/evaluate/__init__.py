"""Forecasts judged while they are made: numbers out of values, rolling figures, drift of the inputs."""
