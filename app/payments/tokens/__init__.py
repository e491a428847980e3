"""Users' tokens (JWT): one verifier an issuer, with one algorithm; the token's own header never chooses."""
