// npm `cotter-node` and `cotter-token-js` against the emulator named by the ready line in $READY.
const { CotterValidateJWT, Constants } = require("cotter-node");
const { CotterAccessToken, CotterIDToken } = require("cotter-token-js");

const ready = JSON.parse(process.env.READY);
Constants.BaseURL = ready.base_url;

const check = (name, passed) => console.log(`${passed ? "ok" : "FAIL"} node: ${name}`);

const tokenSet = async (options) => {
  const body = JSON.stringify({ identifier: "ada@example.test", ...options });
  const response = await fetch(`${ready.control_url}/token-set`, { method: "POST", body });
  return response.json();
};

const clock = (offset_s) =>
  fetch(`${ready.control_url}/clock`, { method: "POST", body: JSON.stringify({ offset_s }) });

const main = async () => {
  const set = await tokenSet({});
  check("cotter-node accepts an access token", (await CotterValidateJWT(set.access_token)) === true);
  check("cotter-node accepts an ID token", (await CotterValidateJWT(set.id_token)) === true);
  await clock(-7200);
  const expired = await tokenSet({});
  await clock(0);
  check("cotter-node refuses an expired one", (await CotterValidateJWT(expired.access_token)) === false);
  const [head, payload, signature] = set.access_token.split(".");
  const other = (await tokenSet({})).access_token.split(".")[1];
  const tampered = [head, other, signature].join(".");
  check("cotter-node refuses a tampered one", other !== payload && (await CotterValidateJWT(tampered)) === false);

  const latest = await tokenSet({ profile: "latest" });
  const access = new CotterAccessToken(latest.access_token);
  const id = new CotterIDToken(latest.id_token);
  check("cotter-token-js reads the method", access.getAuthMethod() === "OTP");
  check("cotter-token-js reads the scope", access.getScope() === "access");
  check("cotter-token-js reads one subject", access.getID() === id.getID() && access.getID().length === 36);
  check("cotter-token-js reads the identifier", access.getIdentifier() === "ada@example.test" && id.getIdentifier() === "ada@example.test");
  check("cotter-token-js reads auth_time as text", /^\d+$/.test(id.getAuthTime()));
};

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
