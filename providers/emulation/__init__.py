"""What the emulated account does beside moto, in its process: operations and fields of AWS' APIs that moto lacks.

Each keeps what it was given and tells it again. What AWS itself knows (its certificate authorities, the versions it
makes) is a table with its source. An operation that is in neither stays refused, as moto refuses it.
"""
