"""The pages that explain the service: they need nothing from outside."""
