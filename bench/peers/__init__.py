"""The same work on other engines, in turns with ours."""
