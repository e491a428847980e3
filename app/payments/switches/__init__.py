"""Switches: pause payouts or invoices, maintenance, one rail's sending or receiving, automatic fallback."""
