// A real OpenID provider (npm oidc-provider): rotates refresh tokens, and revokes the grant on reuse.
// PORT and AT_TTL come from the environment; each token request is counted on standard output.
import Provider from 'oidc-provider';
import { generateKeyPair, exportJWK } from 'jose';

const port = Number(process.env.PORT);
const issuer = `http://127.0.0.1:${port}`;
const { privateKey } = await generateKeyPair('ES256', { extractable: true });
const key = { ...(await exportJWK(privateKey)), kid: 'k1', use: 'sig', alg: 'ES256' };

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'cotter-test',
    token_endpoint_auth_method: 'none',
    id_token_signed_response_alg: 'ES256',
    application_type: 'native',
    redirect_uris: ['http://127.0.0.1/cb'],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
  }],
  jwks: { keys: [key] },
  rotateRefreshToken: true,
  issueRefreshToken: async (ctx, client) => client.grantTypeAllowed('refresh_token'),
  ttl: { AccessToken: Number(process.env.AT_TTL), IdToken: Number(process.env.AT_TTL), RefreshToken: 3600 },
  features: { devInteractions: { enabled: true } },
  findAccount: async (ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  scopes: ['openid', 'offline_access'],
  cookies: { keys: ['test-only'] },
});
provider.use(async (ctx, next) => {
  await next();
  if (ctx.path === '/token') {
    const grant = ctx.oidc?.params?.grant_type;
    console.log(`token ${grant} ${ctx.status}`);
  }
});
provider.listen(port, '127.0.0.1', () => console.log('ready'));
