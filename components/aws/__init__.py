"""The AWS platform, one resource family a file; each component takes plain values and outputs, so it works alone.

`platform.py` composes them into a stack on ECS; `components/kubernetes` uses the same network, database and cache.
"""
