"""What people and programs see of an update: lines, a live tree, diffs, a summary, JSON, and the event log.

Everything here reads engine events, whose secrets are masked before they arrive. rich is imported by `live` alone.
"""
