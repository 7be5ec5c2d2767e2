"""Settings: declared once, read from defaults, a TOML file, the environment and flags, in this order."""
