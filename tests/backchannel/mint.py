"""An OpenID provider's half: keys and tokens, made by PyJWT and cryptography, which share no code with the crate.

Reads one JSON object a line from stdin, answers with one a line. `mint.py tls PORT CERT KEY BODY` serves a file over
https instead.
"""

import base64
import hashlib
import hmac
import http.server
import json
import pathlib
import ssl
import sys

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

KINDS = {
    "RSA": (lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048), RSAAlgorithm),
    "P-256": (lambda: ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "Ed25519": (ed25519.Ed25519PrivateKey.generate, OKPAlgorithm),
}
keys = []


def new_key(kind):
    make, algorithm = KINDS[kind]
    key = make()
    keys.append(key)
    return {"key": len(keys) - 1, "jwk": algorithm.to_jwk(key.public_key(), as_dict=True)}


def claims(key, alg, header, claims):
    """A token as a provider makes it."""
    return {"token": jwt.encode(claims, keys[key], algorithm=alg, headers=header)}


def payload(key, alg, header, payload):
    """A signature over any text."""
    return {"token": jwt.PyJWS().encode(payload.encode(), keys[key], algorithm=alg, headers=header)}


def unsigned(header, claims):
    return {"token": jwt.encode(claims, None, algorithm="none", headers=header)}


def shared_secret(key, form, header, claims):
    """HS256 with the public key as the secret. PyJWT refuses to do that with PEM, so the MAC is made here."""
    public = keys[key].public_key()
    secret = {
        "pem": lambda: public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        "der": lambda: public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        "n": lambda: public.public_numbers().n.to_bytes(256, "big"),
    }[form]()
    part = lambda value: base64.urlsafe_b64encode(value).rstrip(b"=")
    message = part(json.dumps(header).encode()) + b"." + part(json.dumps(claims).encode())
    return {"token": (message + b"." + part(hmac.new(secret, message, hashlib.sha256).digest())).decode()}


def serve_tls(port, cert, key, body):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            text = pathlib.Path(body).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print("ready on", server.server_port, flush=True)
    server.serve_forever()


if sys.argv[1:2] == ["tls"]:
    serve_tls(*sys.argv[2:])
CALLS = {"new_key": new_key, "claims": claims, "payload": payload, "unsigned": unsigned, "shared_secret": shared_secret}
for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps(CALLS[request.pop("call")](**request)), flush=True)
