// The OpenID provider of the tests: oidc-provider, with one client, whose people are whoever a test says they are.
//
//   node provider.mjs PORT CLIENT_ID CLIENT_SECRET REDIRECT_URI …
//
// A test is the browser: at the provider's page `/interaction/:uid` it adds who signs in (`sub`, `email`, `email_verified`,
// `name`, `locale`), or `error=access_denied`. With `forge=…` the ID token that this sign-in leads to is not the provider's
// own, but one that somebody who wants to be somebody else would like to have believed; see `forgeries`.
// It holds everything in memory, and speaks plain HTTP on 127.0.0.1 only.
import { createHmac, createSign, generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const [port, clientId, clientSecret, ...redirectUris] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const key = (kid) => {
  const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { kid, ...pair, jwk: { ...pair.privateKey.export({ format: "jwk" }), kid, alg: "RS256", use: "sig" } };
};
const [own, foreign] = [key("own"), key("own")];
const people = new Map();

const provider = new Provider(issuer, {
  clients: [{ client_id: clientId, client_secret: clientSecret, redirect_uris: redirectUris }],
  jwks: { keys: [own.jwk] },
  cookies: { keys: ["of this process only"] },
  pkce: { required: () => true, methods: ["S256"] },
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "locale"] },
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_ctx, sub) => people.has(sub) && { accountId: sub, claims: () => people.get(sub).claims },
  ttl: { Interaction: 600, Session: 600, Grant: 600, AuthorizationCode: 60, AccessToken: 600, IdToken: 600 },
});

const base64 = (value) => Buffer.from(value).toString("base64url");
const parts = (header, payload) => `${base64(JSON.stringify(header))}.${base64(JSON.stringify(payload))}`;
const signed = (payload, by = own) => {
  const text = parts({ alg: "RS256", typ: "JWT", kid: by.kid }, payload);
  return `${text}.${createSign("RSA-SHA256").update(text).sign(by.privateKey, "base64url")}`;
};
const hmac = (payload, secret) => {
  const text = parts({ alg: "HS256", typ: "JWT" }, payload);
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
};
const now = () => Math.floor(Date.now() / 1000);
const forgeries = {
  none: (claims) => `${parts({ alg: "none", typ: "JWT" }, claims)}.`,
  hs256_client_secret: (claims) => hmac(claims, clientSecret),
  hs256_public_key: (claims) => hmac(claims, own.publicKey.export({ format: "pem", type: "spki" })),
  signature: (claims) => signed(claims, foreign),
  unknown_key: (claims) => signed(claims, { ...foreign, kid: "unknown" }),
  issuer: (claims) => signed({ ...claims, iss: "https://accounts.example.com" }),
  audience: (claims) => signed({ ...claims, aud: "another-shop" }),
  audiences: (claims) => signed({ ...claims, aud: [clientId, "another-shop"] }),
  authorized_party: (claims) => signed({ ...claims, azp: "another-shop" }),
  nonce: (claims) => signed({ ...claims, nonce: "of another sign-in" }),
  no_nonce: ({ nonce: _, ...claims }) => signed(claims),
  expired: (claims) => signed({ ...claims, iat: now() - 7200, exp: now() - 3600 }),
  stale: (claims) => signed({ ...claims, iat: now() - 7200 }),
  future: (claims) => signed({ ...claims, iat: now() + 3600, exp: now() + 7200 }),
  resigned: (claims) => signed(claims), // As the provider itself would: what shows that forging is what the others do.
  missing: () => undefined,
  huge: (claims) => signed({ ...claims, name: "x".repeat(1 << 20) }),
};

provider.use(async (ctx, next) => {
  const [, uid] = ctx.path.match(/^\/interaction\/([\w-]+)$/) ?? [];
  if (uid) {
    const { sub, forge, error, ...said } = ctx.query;
    if (error) {
      ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, { error, error_description: "as the test says" }));
      return;
    }
    const { params } = await provider.interactionDetails(ctx.req, ctx.res);
    const verified = "email_verified" in said ? { email_verified: said.email_verified === "true" } : {};
    people.set(sub, { claims: { sub, ...said, ...verified }, forge });
    const grant = new provider.Grant({ accountId: sub, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    const result = { login: { accountId: sub, remember: false }, consent: { grantId: await grant.save() } };
    ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result));
    return;
  }
  await next();
  if (ctx.path === "/token" && ctx.body?.id_token) {
    const claims = JSON.parse(Buffer.from(ctx.body.id_token.split(".")[1], "base64url"));
    const forge = forgeries[people.get(claims.sub)?.forge];
    if (forge) ctx.body = { ...ctx.body, id_token: forge(claims) };
  }
});

provider.listen(Number(port), "127.0.0.1");
