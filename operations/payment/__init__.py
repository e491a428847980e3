"""A customer of the payment service: pays a Lightning invoice from its own node, and by x402 from its own wallet."""
