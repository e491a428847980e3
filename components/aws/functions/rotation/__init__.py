"""The rotation functions of a stack: what Secrets Manager calls to change a secret, in four steps (`steps.py`).

A file a kind of secret: signing keys, the Redis AUTH token, the database's logins, and credentials others issue.
Every rotation leaves the value before usable until the next one, so running tasks are never locked out.
"""
