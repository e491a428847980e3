"""Payments: money that we send. The web role accepts them, the worker sends them; `unknown` is a state of its own."""
