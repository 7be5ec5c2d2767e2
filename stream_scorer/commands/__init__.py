"""The commands of `stream-scorer`, a file for each: their arguments, and the call of the part that does the work."""
