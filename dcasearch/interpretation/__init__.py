"""What a trained network attends to, and what its connections carry."""
