"""Requests that leave the system on behalf of a task. There is one client, and it looks where it is going."""
