"""How good forecasts are: numbers out of values, rolling figures, drift of the inputs, accuracy over a history."""
