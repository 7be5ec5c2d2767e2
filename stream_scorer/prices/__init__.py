"""Histories of prices: read from files, adjusted, and given to a model in the form that it takes."""
