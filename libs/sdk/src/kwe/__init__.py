"""The Python client, the kwe command line, the decorator for own functions, and the event consumer kit."""
