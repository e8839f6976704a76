#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A token service as registries use it (Docker registry token authentication specification).

    token_server.py PORT TLS-CERT TLS-KEY SIGNER-CERT SIGNER-KEY LOG [SECONDS]

Tokens are JWTs that docker-registry checks against SIGNER-CERT. User "u" has the password "pass"
and may do all; without credentials "public/..." may be pulled. Tokens live SECONDS (default 300).
A GET with offline_token or by user u also gives the refresh token "refresh-u", which the OAuth2
form takes. A line per request goes to LOG: method, user or "-", scopes.
"""
import base64
import http.server
import json
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse

port, cert, key, signer_cert, signer_key, log_path = int(sys.argv[1]), *sys.argv[2:7]
seconds = int(sys.argv[7]) if len(sys.argv) > 7 else 300
lock = threading.Lock()


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


with open(signer_cert) as f:
    der = base64.b64encode(ssl.PEM_cert_to_DER_cert(f.read())).decode()


def make_token(user, service, scopes):
    access = []
    for scope in scopes:
        kind, name, actions = scope.split(":")
        allowed = [a for a in actions.split(",") if user or (name.startswith("public/") and a == "pull")]
        access.append({"type": kind, "name": name, "actions": allowed})
    now = int(time.time())
    head = {"typ": "JWT", "alg": "RS256", "x5c": [der]}
    body = {"iss": "test-issuer", "sub": user or "", "aud": service, "exp": now + seconds,
            "nbf": now - 60, "iat": now, "jti": str(now), "access": access}
    signed = b64(json.dumps(head).encode()) + "." + b64(json.dumps(body).encode())
    done = subprocess.run(["openssl", "dgst", "-sha256", "-sign", signer_key],
                          input=signed.encode(), stdout=subprocess.PIPE, check=True)
    return signed + "." + b64(done.stdout)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, doc):
        body = json.dumps(doc).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def give(self, user, service, scopes, extra):
        with lock, open(log_path, "a") as log:
            log.write(f"{self.command} {user or '-'} {' '.join(scopes)}\n")
        answer = {"token": make_token(user, service, scopes), "expires_in": seconds}
        self.answer(200, {**answer, **extra})

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        auth = self.headers.get("Authorization")
        if auth and base64.b64decode(auth.split()[1]) != b"u:pass":
            return self.answer(401, {"details": "incorrect username or password"})
        user = "u" if auth else None
        extra = {"refresh_token": "refresh-u"} if user else {}
        return self.give(user, query.get("service", [""])[0], query.get("scope", []), extra)

    def do_POST(self):
        size = int(self.headers.get("Content-Length", 0))
        form = urllib.parse.parse_qs(self.rfile.read(size).decode())
        if form.get("grant_type") != ["refresh_token"] or form.get("refresh_token") != ["refresh-u"]:
            return self.answer(400, {"error": "invalid_grant", "error_description": "no such token"})
        scopes = form.get("scope", [""])[0].split()
        return self.give("u", form.get("service", [""])[0], scopes, {})


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", port), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
