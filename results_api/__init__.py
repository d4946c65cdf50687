"""The results API: HTTP, pages, exports and reports."""
