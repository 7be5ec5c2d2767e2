"""Histories of prices: read from files, adjusted by the CPI, and turned into inputs of a model."""
