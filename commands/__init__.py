"""The commands of `smartsight`; a module is loaded when its command is called."""
