"""`call: http`: one request, made through the guarded client."""
