"""What a model would have forecast over a history, by the service's own engine, beside simple forecasts."""
