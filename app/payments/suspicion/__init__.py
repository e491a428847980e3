"""Suspicious activity: after too many failures in a window a user's payouts are held until they age or somebody
looks."""
