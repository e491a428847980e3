"""Invoices: what we ask to be paid on a rail, and the crediting of what arrives."""
