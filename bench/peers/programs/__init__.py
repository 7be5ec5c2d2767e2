"""One program per contestant. Each runs in an environment of its own, so none imports more of the project than `lane`."""
