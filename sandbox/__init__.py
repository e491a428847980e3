"""Offline counterparts of the rails' networks: programs of their own, never in the image, imported by nobody."""
