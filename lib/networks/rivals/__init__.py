"""The rivals: other published systems that the paper compares its own with."""
