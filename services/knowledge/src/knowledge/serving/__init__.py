"""Who asks: requests of the gateway, and tasks of workflows."""
