"""What of an image file draws its first picture; all else is skipped unread."""
