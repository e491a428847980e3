"""One Solana cluster as a program: JSON-RPC over the real virtual machine (LiteSVM) with a USDC-like SPL mint.

Not here: WebSocket subscriptions, votes, stakes, other validators.
"""
