"""API keys: who may call. A key is shown once; its HMAC digest with a pepper is what is kept."""
