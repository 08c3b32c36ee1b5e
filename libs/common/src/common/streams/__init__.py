"""Redis streams: their names, and the delivery rules that every reader and writer of ours follows."""
