"""Two LND nodes with channels between them, as one program: REST, TLS, macaroons and BOLT11 as LND has them.

Not here: gRPC, a Bitcoin chain, peers outside the process.
"""
