"""Maintenance at its time, as commands: a report in figures, and the database's monthly optimisation."""
