"""A Bitcoin network on loopback behind Esplora's REST API: a regtest chain of ours, or a real btcd's (`--btcd-rpc`).

Transactions are real: scripts and signatures are checked, blocks carry proof of work, and a reorganisation disconnects
blocks. `/sandbox/...` mines, pays and reorganises on demand. Never in the image.
"""
