"""From prices and CPI to trained weights of the S&P 500 LSTM: the tutorial's pipeline in typed steps."""
