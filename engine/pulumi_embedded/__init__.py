"""Railyard's embedded Pulumi engine: what Python-only projects need of the Pulumi CLI, where none is installed.

`cli/` reads the command line, `project/` the settings files, `backend/` the state folder, `state/` the deployment in
it, `deploy/` runs programs and providers, `display/` tells people what happened. Nothing of Railyard is imported here.
"""
