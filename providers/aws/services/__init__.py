"""The table of resource types, a file a service. No machinery here."""
