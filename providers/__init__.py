"""Offline provider processes for emulated stacks, a folder a package. They reach loopback alone."""
