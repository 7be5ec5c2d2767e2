"""What programs need of the operating system: signals, exit, log lines, folders, standard error."""
