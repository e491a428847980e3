"""Endpoint discovery: where a payee, known by its public key, wants to be paid; looked up in a directory and cached."""
