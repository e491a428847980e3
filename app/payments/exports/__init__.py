"""Exports and statements: a user's own records as CSV or JSON lines, and an account's day from opening to closing."""
