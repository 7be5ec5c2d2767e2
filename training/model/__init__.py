"""The shipped model: the module, byte for byte what is exported, and its attachment of trained weights."""
