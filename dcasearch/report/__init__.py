"""What a study looks like: drawings of networks, figures, and a page of its own."""
