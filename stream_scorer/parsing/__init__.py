"""Values as people write them on a command line: addresses, times, durations, misspelt words."""
