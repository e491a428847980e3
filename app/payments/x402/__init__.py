"""The x402 facilitator: /supported, /verify and /settle in versions 1 and 2, for USDC on Solana (scheme `exact`).

Success is said only of what happened on the chain, once a signed message, and "not yet" is said as such (design
section 4, rule 7). The web role checks and records; the worker signs, sends and proves (`settling`).
"""
