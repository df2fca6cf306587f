"""PyPI `cotter` against the emulator named by the ready line in $READY."""

import base64
import hashlib
import json
import os
import tempfile
import urllib.error
import urllib.parse
import urllib.request

import cotter
from cotter import constants, errors, tokenhandler, validate

READY = json.loads(os.environ["READY"])
KEY = READY["api_key_id"]
# The second is computed at import: setting the first alone would leave it at the live service.
constants.CotterBackendURL = READY["base_url"]
constants.CotterJWKSURL = READY["base_url"] + "/token/jwks"
constants.CotterJSURL = READY["login_url"]


def control(path, **body):
    url = READY["control_url"] + path
    request = urllib.request.Request(url, json.dumps(body).encode())
    return json.load(urllib.request.urlopen(request))


def expired():
    """A set from two hours ago: its refresh token is good, its access token is not."""
    control("/clock", offset_s=-7200)
    token = control("/token-set", identifier="ada@example.test")
    control("/clock", offset_s=0)
    return token


class Stay(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect to the caller, as the loopback listener of a client would see it."""

    def redirect_request(self, *arguments):
        return None


def login(identifier, redirect_url, verifier):
    """What a browser does for the client: the query that the page returns with."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
    form = dict(api_key=KEY, redirect_url=redirect_url, state="s", code_challenge=challenge, type="EMAIL", auth_method="OTP")
    browser = urllib.request.build_opener(Stay)
    page = READY["login_url"] + "/app"
    browser.open(page + "?" + urllib.parse.urlencode(form)).read()
    browser.open(page + "/send", urllib.parse.urlencode(dict(form, input=identifier)).encode()).read()
    sent = READY["control_url"] + "/codes?" + urllib.parse.urlencode({"identifier": identifier})
    code = json.load(urllib.request.urlopen(sent))
    try:
        browser.open(page + "/verify", urllib.parse.urlencode(code).encode())
    except urllib.error.HTTPError as redirect:
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(redirect.headers["Location"]).query))
    raise AssertionError("no redirect")


def counters():
    return json.load(urllib.request.urlopen(READY["control_url"] + "/counters"))


def check(name, passed):
    print(("ok " if passed else "FAIL ") + "python: " + name, flush=True)


def raises(kind, call, *arguments):
    try:
        call(*arguments)
    except kind:
        return True
    return False


def main():
    token = control("/token-set", identifier="ada@example.test")
    access = validate.validate_access_token(token["access_token"], KEY)
    check("validate_access_token reads the claims", access["aud"] == KEY and access["scope"] == "access")
    identity = validate.validate_id_token(token["id_token"], KEY)
    check("validate_id_token reads the claims", identity["identifier"] == "ada@example.test")
    wrong = "00000000-0000-4000-8000-000000000001"
    check("validate refuses another audience", raises(Exception, validate.validate_access_token, token["access_token"], wrong))
    check("a valid token is returned as it is", tokenhandler.refresh_token(token, KEY) is token)
    check("nothing was exchanged for it", counters()["exchanges"] == 0)

    old = expired()
    check("validate refuses an expired token", raises(Exception, validate.validate_access_token, old["access_token"], KEY))
    new = tokenhandler.refresh_token(old, KEY)
    check("an expired token is refreshed", new["refresh_token"] != old["refresh_token"])
    check("the new one validates", validate.validate_access_token(new["access_token"], KEY)["sub"] == access["sub"])
    check("one exchange was made", counters()["exchanges"] == 1)
    check("a replay fails", raises(errors.RefreshTokenFailedError, tokenhandler.refresh_token, old, KEY))
    check("the server saw the replay", counters()["reuses"] == 1)
    third = expired()
    check("another key fails", raises(errors.RefreshTokenFailedError, tokenhandler.refresh_token, third, wrong))
    check("and spends nothing", tokenhandler.refresh_token(third, KEY)["refresh_token"] != third["refresh_token"])
    empty = dict(expired(), refresh_token="")
    check("an empty refresh token is noticed", raises(errors.RefreshTokenNotExistError, tokenhandler.refresh_token, empty, KEY))

    stored = expired()
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "token.json")
        tokenhandler.store_token_to_file(stored, name)
        fresh = tokenhandler.get_token_from_file(name, KEY)
        with open(name) as file:
            check("the file has the rotated set", json.load(file) == fresh != stored)

    verifier = base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=")
    back = login("eve@example.test", "http://localhost:8395", verifier)
    identity = cotter.get_access_token(KEY, back["code"], back["challenge_id"], verifier, "http://localhost:8395")
    signed_in = identity["oauth_token"]
    claims = validate.validate_id_token(signed_in["id_token"], KEY)
    check("a code of the login page buys tokens", claims["identifier"] == "eve@example.test")
    check("of the user it names", claims["sub"] == identity["user"]["ID"])
    spent = (KEY, back["code"], back["challenge_id"], verifier, "http://localhost:8395")
    check("but only once", raises(Exception, cotter.get_access_token, *spent))


if __name__ == "__main__":
    main()
