"""Vector stores, each behind the same port."""
