"""Migrations of the schema `workflow`, applied by `kwe migrate`, never by a service start."""
