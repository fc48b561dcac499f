"""Forgetting a shopper: what holds them, and the same files without them."""
