"""What must hold beyond the structure of a document. Each module checks one kind of thing."""
