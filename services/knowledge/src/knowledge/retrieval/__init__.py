"""Finding passages: keyword leg, vector leg, and one ranking made of both."""
