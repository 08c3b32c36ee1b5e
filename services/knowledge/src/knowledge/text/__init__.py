"""What the service knows about text: terms, headings, passages. Pure: no clock, no I/O."""
