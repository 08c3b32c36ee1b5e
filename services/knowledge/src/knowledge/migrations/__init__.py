"""Migrations of the schema `knowledge`, applied by `common.migrations`."""
