"""The API's routes, a module per noun. Each module's `ROUTES` says what there is."""
