"""Serve the pictures of a folder over HTTP, with each request's number appended after the image data.

Run as a program, it prints its port and serves until it is killed.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def serve(paths: list[Path]) -> None:
    """Serve until killed: /NUMBER is the picture with that number, modulo their count."""
    pictures = [path.read_bytes() for path in paths]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            number = int(self.path[1:])
            body = pictures[number % len(pictures)] + b"%d" % number
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    ThreadingHTTPServer.request_queue_size = 512
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve([Path(argument) for argument in sys.argv[1:]])
