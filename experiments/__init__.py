"""Experiments: one file each; every public file is a command of `specjax`."""
