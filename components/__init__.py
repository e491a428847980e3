"""Pulumi components: `settings.py`, then a folder a platform (local now; aws and kubernetes later), a file a family."""
