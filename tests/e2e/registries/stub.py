#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registry that misbehaves as it is told, for tests.

    stub.py PORT LAYOUT LOG [CERT KEY]

It serves the OCI layout LAYOUT (an image made of its first manifest). The first part of a
repository's name says how it sins; the rest is ignored, so /v2/cut/app/... is app from a registry
that cuts lines; /cut/v2/... is the same, for mirrors. A line per request goes to LOG: method, path, "auth" or "-", Range or "-".
"""
import hashlib
import http.server
import json
import os
import random
import ssl
import sys
import threading
import time

port, layout, log_path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
log_lock = threading.Lock()
counts = {}
OCI = "application/vnd.oci.image.manifest.v1+json"


def blob(digest):
    with open(os.path.join(layout, "blobs", "sha256", digest.split(":")[1]), "rb") as f:
        return f.read()


with open(os.path.join(layout, "index.json")) as index:
    manifest_digest = json.load(index)["manifests"][0]["digest"]


def count(key):
    with log_lock:
        counts[key] = counts.get(key, 0) + 1
        return counts[key]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def note(self):
        auth = "auth" if self.headers.get("Authorization") else "-"
        with log_lock, open(log_path, "a") as log:
            log.write(f"{self.command} {self.path} {auth} {self.headers.get('Range', '-')}\n")

    def answer(self, status, body=b"", headers=(), length=None):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def drop(self):
        self.close_connection = True
        self.connection.close()

    def send_blob(self, data, sin):
        start = 0
        status, headers = 200, []
        wanted = self.headers.get("Range")
        if wanted and sin != "norange":
            start = int(wanted.split("=")[1].rstrip("-"))
            if sin == "wrongrange":
                start += 1
            status = 206
            headers = [("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")]
        part = data[start:]
        if sin == "cut" and len(part) > 200000:
            self.answer(status, part[:200000], headers, length=len(part))
            return self.drop()
        if sin == "cutting" and len(part) > 1000:  # never gets on
            self.answer(status, b"", headers, length=len(part))
            return self.drop()
        if sin == "reset" and count("reset") <= 2:
            return self.drop()
        if sin == "stall" and len(part) > 1000:
            self.answer(status, part[:1000], headers, length=len(part))
            self.wfile.flush()
            time.sleep(60)
            return self.drop()
        if sin == "slow":  # in ten pieces, a second in all
            self.answer(status, b"", headers, length=len(part))
            for i in range(10):
                self.wfile.write(part[len(part) * i // 10 : len(part) * (i + 1) // 10])
                time.sleep(0.1)
            return None
        if sin == "short":
            return self.answer(status, part[:-1], headers)
        if sin == "long":
            return self.answer(status, part + b"x", headers)
        if sin == "tamper":
            part = part[:-1] + bytes([part[-1] ^ 1])
        if sin == "nolength":  # until the connection closes, half of it
            self.send_response(status)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(part[: len(part) // 2])
            return self.drop()
        return self.answer(status, part, headers)

    def manifest(self, sin, version):
        data = blob(manifest_digest)
        if sin == "othermanifest":
            data = data + b"\n"
        if sin == "lyingdigest" and self.command == "HEAD":
            return self.answer(200, data, [("Docker-Content-Digest", "sha256:../../x")])
        if sin == "nohead" and self.command == "HEAD":
            return self.answer(405)
        headers = [("Content-Type", OCI)]
        if sin not in ("nodigest", "nohead"):
            digest = "sha256:" + hashlib.sha256(data).hexdigest()
            headers.append(("Docker-Content-Digest", digest))
        return self.answer(200, data, headers)

    def sin(self, sin, kind, version):
        """True when the sin was all of the answer."""
        if sin == "teapot":
            self.answer(418, b"I am a teapot")
        elif sin == "denied":
            self.answer(403, b'{"errors":[{"code":"DENIED","message":"not \\u001b[31mfor you"}]}')
        elif sin == "loop401":
            self.answer(401, headers=[("WWW-Authenticate", 'Basic realm="x"')])
        elif sin == "bad401":
            self.answer(401, headers=[("WWW-Authenticate", 'Bearer realm="')])
        elif sin == "no401":
            self.answer(401)
        elif sin == "long401":
            self.answer(401, headers=[("WWW-Authenticate", "Bearer " + "a=b," * 3000)])
        elif sin == "plaintoken":
            self.answer(401, headers=[("WWW-Authenticate", 'Bearer realm="http://127.0.0.1:1/t"')])
        elif sin == "echo":  # says what it was sent, as some do
            auth = self.headers.get("Authorization", "")
            if not auth:
                self.answer(401, headers=[("WWW-Authenticate", 'Basic realm="x"')])
            else:
                self.answer(403, json.dumps({"errors": [{"message": f"refused {auth}"}]}).encode())
        elif sin == "busy":
            self.answer(503, headers=[("Retry-After", "1")])
        elif sin == "later":
            self.answer(429, headers=[("Retry-After", "3000")])
        elif sin == "hang":
            time.sleep(60)
            self.drop()
        elif sin == "redirloop":
            self.answer(307, headers=[("Location", self.path)])
        elif sin in ("fewuses", "neverenough"):  # tokens are good for two requests, or for none
            auth = self.headers.get("Authorization", "")
            if auth and sin == "fewuses" and count(auth) <= 2:
                return False
            realm = f'Bearer realm="http://127.0.0.1:{port}/token",service="s"'
            self.answer(401, headers=[("WWW-Authenticate", realm)])
        elif sin == "away" and not self.headers.get("Authorization"):
            self.answer(401, headers=[("WWW-Authenticate", 'Basic realm="x"')])
        elif sin == "away" and kind == "blobs":
            where = f"http://localhost:{port}/v2/good/app/blobs/{version}"
            self.answer(307, headers=[("Location", where)])
        elif sin == "tofile":
            self.answer(307, headers=[("Location", "file:///etc/passwd")])
        elif sin == "tonowhere":
            self.answer(307)
        elif sin == "headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            line = b"X-Filler: " + b"x" * 1000 + b"\r\n"
            try:
                for _ in range(1000):
                    self.wfile.write(line)
            except OSError:
                pass
            self.drop()
        elif sin == "garbage":
            self.wfile.write(random.Random(7).randbytes(500))
            self.drop()
        elif sin == "huge" and kind == "manifests":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"[" * 65536)
            except OSError:
                pass
            self.drop()
        elif sin == "errorflood":
            self.send_response(500)
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                for _ in range(2000):
                    self.wfile.write(b"e" * 65536)
            except OSError:
                pass
            self.drop()
        elif sin == "onceboth" and count(self.path) == 1:
            self.answer(500)
        elif sin == "basic" and self.headers.get("Authorization") != "Basic dTpwYXNz":
            self.answer(401, headers=[("WWW-Authenticate", 'Basic realm="x"')])
        elif sin == "deepindex" and kind == "manifests":  # each index names another index
            doc, digest = b'{"schemaVersion":2,"manifests":[]}', ""
            for _ in range(4):
                platform = {"os": "linux", "architecture": os.environ.get("ARCHITECTURE", "amd64")}
                entry = {"digest": "sha256:" + hashlib.sha256(doc).hexdigest(), "size": len(doc),
                         "platform": platform}
                outer = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
                if version == entry["digest"]:
                    break
                doc = outer
            self.answer(200, doc)
        else:
            return False
        return True

    def handle_get(self):
        self.note()
        parts = self.path.split("?")[0].split("/")
        if self.path == "/v2/":
            return self.answer(200, b"{}")
        if parts[1] == "token":
            return self.answer(200, json.dumps({"token": f"t{count('token')}"}).encode())
        if parts[1] != "v2" and len(parts) > 6:  # a mirror's prefix
            parts = ["", "v2", parts[1]] + parts[4:]
        if len(parts) < 6 or parts[1] != "v2":
            return self.answer(404)
        sin, kind, version = parts[2], parts[-2], parts[-1]
        if self.sin(sin, kind, version):
            return None
        if kind == "manifests":
            return self.manifest(sin, version)
        try:
            data = blob(version)
        except (OSError, IndexError):
            return self.answer(404)
        # The config is small and fine unless the sin is about all.
        return self.send_blob(data, sin)

    def do_GET(self):
        try:
            self.handle_get()
        except OSError:
            self.close_connection = True

    do_HEAD = do_GET

    def do_POST(self):
        """Uploads: what the first part of the name says happens to them."""
        self.note()
        sin = self.path.split("/")[2]
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if sin == "pushnowhere":
            return self.answer(202)
        if sin == "pushaway":
            return self.answer(202, headers=[("Location", f"http://localhost:{port}/put/{sin}")])
        if sin == "pushdenied":
            return self.answer(403, b'{"errors":[{"message":"read-only"}]}')
        return self.answer(202, headers=[("Location", f"/put/{sin}?state=1")])

    def do_PUT(self):
        self.note()
        sin = self.path.split("?")[0].split("/")[2]
        size = int(self.headers.get("Content-Length", 0))
        if sin == "pushcut" and "/put/" in self.path and size > 1000 and count("pushcut") <= 2:
            self.rfile.read(500)
            return self.drop()
        digest = hashlib.sha256()
        while size > 0:
            data = self.rfile.read(min(size, 65536))
            size -= len(data)
            digest.update(data)
        if sin == "pushlie":
            return self.answer(201, headers=[("Docker-Content-Digest", "sha256:" + "0" * 64)])
        if sin == "pushfull":
            return self.answer(507, b"no space")
        return self.answer(201, headers=[("Docker-Content-Digest", "sha256:" + digest.hexdigest())])


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass


server = Server(("127.0.0.1", port), Handler)
if len(sys.argv) > 5:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[4], sys.argv[5])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
