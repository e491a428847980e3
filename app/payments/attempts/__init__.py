"""Attempts: a row for every effect on a rail, written before it; and the sweeper that looks up what became of them."""
