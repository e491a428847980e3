"""Lightning by LND REST: invoices, payouts, proof of death, and the BOLT 11 codec. Signing keys stay in the node."""
