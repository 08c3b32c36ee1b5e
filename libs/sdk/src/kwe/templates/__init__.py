"""What `kwe init` writes."""
