"""Networks from features to colours at any point."""
