"""The Kubernetes platform, one resource family a file; manifests are written as the API spells them.

What is in the cluster before a stack comes (controllers, operators) is listed in `platform.py` and never made here.
"""
