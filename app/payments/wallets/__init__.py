"""Hot wallets: a floor that payouts respect, a ceiling, and requests to top up or sweep that open and close
themselves."""
