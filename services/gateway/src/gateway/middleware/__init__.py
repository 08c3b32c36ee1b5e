"""What happens around every handler, outermost first: observe, answer errors, CORS, admit."""
