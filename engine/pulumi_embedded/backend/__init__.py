"""The state folder as the CLI's file backend lays it: checkpoints, backups, history, locks; and our journal."""
