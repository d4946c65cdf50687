"""What each command of `smartsight` does: one module a command, loaded when it is called."""
