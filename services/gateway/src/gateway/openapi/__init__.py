"""The API's description, generated from the routes and their models."""
