"""A server of tokens (OpenID Connect), and the key by which a broker knows its tokens."""

from __future__ import annotations

import base64
import json
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

AUDIENCE, ISSUER = "kafka", "https://tokens.example"


class Tokens(ThreadingHTTPServer):
    """Gives a token to each client in `secrets`; others get 401. Serves from the start, until `close`.

    Attributes:
        secrets: by client, which is also the name of the user at the broker.
        given: every token so far.
        claims: other claims than usual, for tokens that a broker must refuse.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        from cryptography.hazmat.primitives.asymmetric import rsa

        self._key = rsa.generate_private_key(65537, 2048)
        self.secrets: dict[str, str] = {}
        self.given: list[str] = []
        self.claims: dict[str, Any] = {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}/token"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def jwks(self) -> str:
        """The public key, as JSON Web Key Set."""
        public = self._key.public_key().public_numbers()
        sizes = {name: (n.bit_length() + 7) // 8 for name, n in (("n", public.n), ("e", public.e))}
        numbers = {name: _text(getattr(public, name).to_bytes(size, "big")) for name, size in sizes.items()}
        return json.dumps({"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "a key", **numbers}]})

    def token(self, user: str) -> str:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        now = int(time.time())
        claims = {"sub": user, "aud": AUDIENCE, "iss": ISSUER, "iat": now, "exp": now + 3600, **self.claims}
        parts = ({"alg": "RS256", "kid": "a key"}, claims)
        signed = ".".join(_text(json.dumps(part).encode()) for part in parts)
        made = f"{signed}.{_text(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"
        self.given.append(made)
        return made


class _Handler(BaseHTTPRequestHandler):
    server: Tokens

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        basic = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        user, _, secret = map(urllib.parse.unquote_plus, basic.partition(":"))
        known = self.server.secrets.get(user) == secret
        answer: dict[str, Any] = {"error": "invalid_client"}
        if known:
            answer = {"access_token": self.server.token(user), "token_type": "Bearer", "expires_in": 3600}
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        pass


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
