"""What the numbers say: `forecast` before a study costs anything, `standing` once its database holds something."""
