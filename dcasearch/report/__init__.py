"""What a study looks like: drawings of networks, and the dashboard."""
