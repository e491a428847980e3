"""Pulumi.yaml and Pulumi.<stack>.yaml: what a project says of itself, and a stack's configuration with its secrets."""
