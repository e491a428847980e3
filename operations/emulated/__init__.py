"""Stacks of a cloud's platform on this machine: an emulated account, its providers, settings and backend of its own."""
