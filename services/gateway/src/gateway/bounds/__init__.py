"""What a request may contain, checked before anything else looks at it."""
