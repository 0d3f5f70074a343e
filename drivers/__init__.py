"""Device drivers: they report, they do not interpret."""
