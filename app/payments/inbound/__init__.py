"""What providers tell us by webhooks, verified over the raw body and taken once; and taking arrivals back."""
