"""Computes known_answers.json with another implementation than Go's.

Run it (pip install cryptography>=48) only when a format changes on purpose:

    python3 known_answers.py > known_answers.json
"""
import base64
import hashlib
import json
import struct

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def encode(label, *fields):
    out = b""
    for f in (label.encode(), *[f if isinstance(f, bytes) else f.encode() for f in fields]):
        out += struct.pack(">Q", len(f)) + f
    return out


def gcm(key, iv, aad, plaintext):
    e = Cipher(algorithms.AES(key), modes.GCM(iv)).encryptor()
    e.authenticate_additional_data(aad)
    return e.update(plaintext) + e.finalize() + e.tag


cluster = "c1"
unlock = bytes(range(32))
salt = b"\x5a" * 32
kek = hashlib.pbkdf2_hmac("sha256", cluster.encode() + unlock, salt, 100_000, 32)

# A ring of two keys, of which the first one seals.
ids = [bytes.fromhex("0102030405060708"), bytes.fromhex("f1f2f3f4f5f6f7f8")]
keys = [b"\xa1" * 32, b"\xa2" * 32]
ring = b"\x01" + b"".join(i + k for i, k in zip(ids, keys))
wrap_iv = b"\x11" * 16
wrapped = wrap_iv + gcm(kek, wrap_iv, encode("warren key ring v1", cluster), ring)

boxes = []
for i, k in zip(ids, keys):
    iv = b"\x22" * 16
    aad = encode("warren box v1", i.hex(), cluster, "secret", "default", "secret-db-password-abc123",
                 "db-password", struct.pack(">Q", 7), "item")
    boxes.append({"key_id": i.hex(), "iv": iv.hex(), "ciphertext": gcm(k, iv, aad, b"mySecurePassword123").hex()})

# An HPKE key pair from its seed: SHAKE-256 stretches it to ML-KEM's 64 bytes
# and X25519's 32.
seed = b"\x33" * 32
stretched = hashlib.shake_256(seed).digest(96)
private = hpke.MLKEM768X25519PrivateKey(
    mlkem.MLKEM768PrivateKey.from_seed_bytes(stretched[:64]),
    x25519.X25519PrivateKey.from_private_bytes(stretched[64:]))
suite = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
infos = {
    "to_cluster": encode("warren to cluster: secret v1", cluster, "default", "db-password", "item"),
    "to_cluster_registry": encode("warren to cluster: registry v1", cluster, "registry.example:5000"),
    "to_task": encode("warren to task v1", cluster, "node-1", "task-1", "secret-db-password-abc123",
                      struct.pack(">Q", 7), "item"),
}

print(json.dumps({
    "unlock_key": "wrn-unlock-" + "-".join(
        (d := base64.b32encode(unlock + hashlib.sha256(encode("warren unlock key checksum v1", unlock)).digest()[:3])
         .decode().lower())[i:i + 8] for i in range(0, 56, 8)),
    "unlock_key_fingerprint": hashlib.sha256(encode("warren unlock key fingerprint v1", unlock)).hexdigest()[:16],
    "salt": salt.hex(),
    "wrapped_ring": wrapped.hex(),
    "boxes": boxes,
    "envelope_seed": seed.hex(),
    "envelopes": {name: suite.encrypt(b"mySecurePassword123", private.public_key(), info).hex()
                  for name, info in infos.items()},
}, indent=1))
