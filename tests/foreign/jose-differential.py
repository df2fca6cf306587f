"""Mutates good tokens, asks cotter-jwt and joserfc about each, and compares (see the .sh beside it)."""

import base64
import json
import random
import subprocess
import sys
from collections import Counter

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import KeySet

program, vectors_path, table_path, count, seed = sys.argv[1:]
vectors = json.load(open(vectors_path))
rng = random.Random(int(seed))
NOW, LEEWAY = 1767225700, 30
ISSUER = "https://www.cotter.app"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
KIDS = [key["kid"] for key in vectors["jwks"]["keys"]]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def private(index):
    key = vectors["private_jwks"]["keys"][index]
    return ec.derive_private_key(int.from_bytes(unb64(key["d"]), "big"), ec.SECP256R1())


PRIVATE = [private(0), private(1)]


def sign(header, claims, key=0):
    """Header and claims are bytes, JSON or not."""
    message = b64(header) + "." + b64(claims)
    r, s = decode_dss_signature(PRIVATE[key].sign(message.encode(), ec.ECDSA(SHA256())))
    return message + "." + b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


GOOD = vectors["access_token"]
HEADER = json.loads(unb64(GOOD.split(".")[0]))
CLAIMS = json.loads(unb64(GOOD.split(".")[1]))


def dump(value):
    return json.dumps(value, ensure_ascii=rng.random() < 0.5).encode()


def with_header(**changes):
    header = {k: v for k, v in {**HEADER, **changes}.items() if v is not ...}
    return sign(dump(header), dump(CLAIMS))


def with_claims(**changes):
    claims = {k: v for k, v in {**CLAIMS, **changes}.items() if v is not ...}
    return sign(dump(HEADER), dump(claims))


JUNK = ["", "x", 0, 1, -1, 1.5, True, False, None, [], ["x"], {}, {"a": 1}, "\u00e9", "1767229200"]


def character():
    at = rng.randrange(len(GOOD))
    return GOOD[:at] + rng.choice(ALPHABET + ".=+/ \n\u00e9") + GOOD[at + 1:]


def signature_bit():
    message, signature = GOOD.rsplit(".", 1)
    data = bytearray(unb64(signature))
    data[rng.randrange(64)] ^= 1 << rng.randrange(8)
    return message + "." + b64(bytes(data))


def cut():
    return GOOD[:rng.randrange(len(GOOD))]


def insert():
    at = rng.randrange(len(GOOD) + 1)
    return GOOD[:at] + rng.choice(ALPHABET + ".= \n") + GOOD[at:]


def delete():
    at = rng.randrange(len(GOOD))
    return GOOD[:at] + GOOD[at + 1:]


def parts():
    some = GOOD.split(".")
    return ".".join(rng.choice(some) for _ in range(rng.randrange(1, 6)))


def padding():
    some = GOOD.split(".")
    some[rng.randrange(3)] += rng.choice(["=", "==", "==="])
    return ".".join(some)


def trailing_bits():
    at = ALPHABET.index(GOOD[-1])
    return GOOD[:-1] + ALPHABET[at & ~15 | rng.randrange(16)]


def alg():
    return with_header(alg=rng.choice(["none", "HS256", "ES384", "RS256", "es256", "ES256K", *JUNK]))


def kid():
    return with_header(kid=rng.choice([..., KIDS[0], KIDS[1], "unknown", KIDS[0].lower(), *JUNK]))


def typ():
    return with_header(typ=rng.choice([..., "JWT", "jwt", "at+jwt", *JUNK]))


def crit():
    return with_header(crit=rng.choice([[], ["exp"], ["b64"], *JUNK]), b64=rng.choice([..., True, False]))


def embedded_key():
    name = rng.choice(["jwk", "jku", "x5u", "x5c", "x5t"])
    value = rng.choice([vectors["jwks"]["keys"][1], "https://evil.test/keys", ["MIIB"]])
    header = dump({**HEADER, name: value})
    return sign(header, dump(CLAIMS), key=rng.randrange(2))


def unknown_header():
    return with_header(**{rng.choice(["foo", "nonce", "cty", "url"]): rng.choice(JUNK)})


def other_key():
    return sign(dump({**HEADER, "kid": KIDS[rng.randrange(2)]}), dump(CLAIMS), key=rng.randrange(2))


def duplicate_header():
    name = rng.choice(list(HEADER))
    return sign(dump(HEADER).replace(b"{", b"{" + dump({name: HEADER[name]})[1:-1] + b",", 1), dump(CLAIMS))


def duplicate_claim():
    name = rng.choice(list(CLAIMS))
    return sign(dump(HEADER), dump(CLAIMS).replace(b"{", b"{" + dump({name: "x"})[1:-1] + b",", 1))


def time_claim():
    name = rng.choice(["exp", "iat", "nbf"])
    return with_claims(**{name: NOW + rng.choice([-3600, -31, -30, -29, -1, 0, 1, 29, 30, 31, 3600])})


def fractional_time():
    return with_claims(**{rng.choice(["exp", "iat", "nbf"]): NOW + rng.uniform(-100, 100)})


def odd_time():
    return with_claims(**{rng.choice(["exp", "iat", "nbf"]): rng.choice([*JUNK, 10 ** 12, 10 ** 30, 1e300])})


def issuer():
    tails = ["", "/", "//", ".evil.test", "/x", "?"]
    return with_claims(iss=rng.choice([ISSUER + rng.choice(tails), *JUNK, ...]))


def audience():
    own = CLAIMS["aud"]
    return with_claims(aud=rng.choice([own, [own], ["x", own], [], own.upper(), own + " ", ["x"], *JUNK, ...]))


def kind():
    names = ["access_token", "client_access_token", "id_token", "client_id_token", "Access_Token"]
    return with_claims(type=rng.choice([*names, *JUNK, ...]))


def text_claim():
    name = rng.choice(["sub", "client_user_id", "identifier", "jti", "scope", "authentication_method"])
    return with_claims(**{name: rng.choice([*JUNK, ...])})


def own_claim():
    return with_claims(**{rng.choice(["own", "https://x.test/y", "\u00fc"]): rng.choice(JUNK)})


def nested():
    depth = rng.choice([1, 5, 14, 15, 16, 40, 200])
    return sign(dump(HEADER), dump(CLAIMS)[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}")


def white_space():
    indent = rng.choice([0, 1, "\t"])
    return sign(json.dumps(HEADER, indent=indent).encode(), json.dumps(CLAIMS, indent=indent).encode())


def not_json():
    junk = rng.choice([b"", b"[]", b"1", b"null", b"{", b"{}", b"\xff", b'{"a":"\xff"}', b"NaN", b'"x"'])
    return sign(junk, dump(CLAIMS)) if rng.random() < 0.5 else sign(dump(HEADER), junk)


def not_a_number():
    name = rng.choice(["exp", "iat", "own"])
    text = dump({**CLAIMS, name: 12345678}).replace(b"12345678", rng.choice([b"NaN", b"Infinity", b"-Infinity", b"01"]))
    return sign(dump(HEADER), text)


def der_signature():
    message = GOOD.rsplit(".", 1)[0]
    return message + "." + b64(PRIVATE[0].sign(message.encode(), ec.ECDSA(SHA256())))


def odd_signature():
    r, s = rng.choice([(0, 0), (0, 1), (1, 0), (1, 1)])
    return GOOD.rsplit(".", 1)[0] + "." + b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


MUTATIONS = [
    alg, audience, character, crit, cut, delete, der_signature, duplicate_claim, duplicate_header,
    embedded_key, fractional_time, insert, issuer, kid, kind, nested, not_a_number, not_json, odd_signature,
    odd_time, other_key, own_claim, padding, parts, signature_bit, text_claim, time_claim, trailing_bits,
    typ, unknown_header, white_space,
]

KEYS = KeySet.import_key_set(vectors["jwks"])
RULES = jwt.JWTClaimsRegistry(
    now=NOW,
    leeway=LEEWAY,
    iss={"essential": True, "values": [ISSUER, ISSUER + "/"]},
    aud={"essential": True, "value": vectors["api_key_id"]},
    exp={"essential": True},
    type={"essential": True, "values": ["client_access_token", "access_token"]},
)


def theirs(token):
    try:
        RULES.validate(jwt.decode(token, KEYS, algorithms=["ES256"]).claims)
        return "ok"
    except RecursionError:
        return "RecursionError"
    except Exception as error:  # whatever it raises is a refusal
        return type(error).__name__


def table():
    """mutation -> set of (ours, theirs) that are explained."""
    rows = {}
    for line in open(table_path):
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        if len(cells) == 4 and cells[0] not in ("mutation", "---"):
            rows.setdefault(cells[0], set()).add((cells[1], cells[2]))
    return rows


# As many distinct tokens as were asked for: some mutations soon have no more of them to give.
tokens, seen, tries = [("good", GOOD)], {GOOD}, 0
while len(tokens) < int(count):
    mutation = MUTATIONS[tries % len(MUTATIONS)]
    tries += 1
    token = mutation()
    if token not in seen:
        seen.add(token)
        tokens.append((mutation.__name__, token))
    assert tries < 10 * int(count), "the mutations have no more tokens to give"
# A signature has chance in it, so that two tokens may differ in it alone.
contents = {token.rsplit(".", 1)[0] for _, token in tokens}
answer = subprocess.run(
    [program, vectors_path, str(NOW), str(LEEWAY)],
    input="".join(json.dumps(token) + "\n" for _, token in tokens), capture_output=True, text=True, check=True,
)
ours = answer.stdout.split("\n")[:-1]
assert len(ours) == len(tokens), (len(ours), len(tokens))
assert ours[0] == "ok" and theirs(GOOD) == "ok", "the good token is good"

rows, used, unexplained, explained, agreed = table(), set(), Counter(), 0, Counter()
samples = {}
for (mutation, token), mine in zip(tokens, ours):
    other = theirs(token)
    if (mine == "ok") == (other == "ok"):
        agreed["accepted" if mine == "ok" else "refused"] += 1
    elif (mine, other) in rows.get(mutation, ()):
        used.add((mutation, mine, other))
        explained += 1
    else:
        unexplained[mutation, mine, other] += 1
        samples[mutation, mine, other] = token
for (mutation, mine, other), times in sorted(unexplained.items()):
    print(f"unexplained: {mutation}: cotter-jwt {mine}, joserfc {other} ({times} times)")
    header, claims = samples[mutation, mine, other].split(".")[:2]
    print("   ", unb64(header)[:200], unb64(claims)[-200:])
idle = {(m, *pair) for m, pairs in rows.items() for pair in pairs} - used
for row in sorted(idle):
    print("this row explained nothing:", row)
print(
    f"{len(tokens)} distinct tokens ({len(contents)} when signatures do not count), {tries - len(tokens) + 1} "
    f"copies left out: {agreed['accepted']} accepted by both, {agreed['refused']} refused by both, "
    f"{explained} differences explained, {sum(unexplained.values())} not"
)
sys.exit(bool(unexplained) or (bool(idle) and (count, seed) == ("2400", "1")))
