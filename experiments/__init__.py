"""Experiments: every file is a command of `specjax`, every folder a room that commands share."""
