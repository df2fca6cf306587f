"""PyPI `cotter` against the emulator named by the ready line in $READY."""

import json
import os
import tempfile
import urllib.request

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


if __name__ == "__main__":
    main()
