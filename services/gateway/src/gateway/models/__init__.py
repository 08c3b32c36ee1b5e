"""What requests and answers look like. The OpenAPI document is generated from these models and nothing else."""
