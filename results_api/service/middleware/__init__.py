"""What happens around every request, whatever it asks for: ASGI middlewares, a module each."""
