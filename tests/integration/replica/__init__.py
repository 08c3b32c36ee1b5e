"""A package, so that one system can serve all tests of this folder and be stopped after them."""
