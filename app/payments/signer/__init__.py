"""Keys that spend: only the worker role builds what is here (design section 4, rule 11); the web role never does."""
