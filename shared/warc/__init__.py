"""WARC files: what a crawl brought home, answer by answer."""
