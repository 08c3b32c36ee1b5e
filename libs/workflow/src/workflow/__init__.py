"""The workflow language: documents, expressions, and the pure core that turns a message into the next state."""
