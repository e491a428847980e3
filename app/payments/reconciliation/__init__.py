"""Reconciliation: what each rail says, read a second time, against our books; the drift is published."""
