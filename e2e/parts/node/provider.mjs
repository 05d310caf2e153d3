// A certified OpenID provider for the tests, on loopback, with a second port that plays its operator.
//
// It prints one line of JSON when it is ready: {"issuer", "control", "secret"}, the secret being that of
// every client; the client `gate` may introspect. It ends when its standard input
// does, so it cannot outlive the test that started it.
//
// The control port takes POST with a JSON body:
//   /keys       {"do": "add" | "retire" | "replace"}   the signing keys, as a rotation moves them
//   /lifetimes  {"access": seconds, "id": seconds}     of tokens issued from now on
//   /away       {"away": true | false}                 stops answering, and answers again, same address
//   /login      {"user", "audience"}                   a person's tokens, by the code flow with PKCE
//               "audience": "opaque" gives one that only introspection reads; null one for no resource,
//               without groups, that userinfo takes
//   /machine    {"client", "audience"}                 a workload's token, by its client credentials
//   /secret     {}                                     the clients' secret
//   /browse     {"url", "user", "deny"}                a person's browser: logs in (or says no) at a page, and
//                                                      follows it to wherever it leads
//   /device     {"code", "user", "deny"}               a person's other screen: types in a device's code
//   /counts     {}                                     how many tokens each grant gave so far
//   /console    {"origin"}                             registers the console at this origin; gives its secret
//   /hear       {"url"}                                where logout tokens of the client `person` are sent
//   /logout     {"user"}                               ends the session of that person's last login
//   /revoke     {"token"}                              ends a token
// and answers what holds now, or the token response.

import { createHash, createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const PEOPLE = {
  alice: { groups: ['ml-engineers', 'admins'], email: 'alice@example.test', name: 'Alice' },
  bob: { groups: ['analysts'], email: 'bob@example.test', name: 'Bob' },
  mallory: { groups: [], email: 'mallory@example.test', name: 'Mallory' },
};
const MACHINES = { 'batch-runner': ['batch-jobs'], 'agent-runner': ['agents', 'ml-engineers'] };
const ALGORITHM = process.env.ALGORITHM ?? 'RS256';
const RETURN_TO = 'http://127.0.0.1:9/callback'; // nobody listens there: the script reads the redirect
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const SECRET = randomBytes(12).toString('hex');
let consoleAt = 'http://127.0.0.1:9'; // nobody listens there

// ---- keys ------------------------------------------------------------------------------------------

let made = 0;
function makeKey(alg) {
  // Node 20 stands still for ever when its garbage collector runs while a generated key is exported as a JWK:
  // the export holds the key's lock, and what generated the key takes it again to be collected. So the key that
  // is exported is another one, read back from bytes.
  const privateKeyEncoding = { type: 'pkcs8', format: 'der' };
  const { privateKey: key } = alg === 'ES256'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256', privateKeyEncoding })
    : generateKeyPairSync('rsa', { modulusLength: 2048, privateKeyEncoding });
  const jwk = createPrivateKey({ ...privateKeyEncoding, key }).export({ format: 'jwk' });
  made += 1;
  return { ...jwk, alg, use: 'sig', kid: `${alg}-${made}-${randomBytes(2).toString('hex')}` };
}
const generation = () => [makeKey('RS256'), makeKey('ES256')];
let generations = [generation()];

// ---- memory: outlives a change of keys, so a login does too ----------------------------------------

const memory = new Map();
class Memory {
  constructor(kind) { this.kind = kind; }
  key(id) { return `${this.kind} ${id}`; }
  async upsert(id, payload, seconds) {
    const until = seconds ? Date.now() + seconds * 1000 : Infinity;
    memory.set(this.key(id), { payload, until });
    if (payload.userCode) memory.set(`${this.kind} by code ${payload.userCode}`, { id, until });
    if (payload.uid) memory.set(`${this.kind} by uid ${payload.uid}`, { id, until });
  }
  async find(id) {
    const held = memory.get(this.key(id));
    return held && held.until > Date.now() ? held.payload : undefined;
  }
  async findByUid(uid) {
    const held = memory.get(`${this.kind} by uid ${uid}`);
    return held && this.find(held.id);
  }
  async findByUserCode(code) {
    const held = memory.get(`${this.kind} by code ${code}`);
    return held && this.find(held.id);
  }
  async consume(id) {
    const held = memory.get(this.key(id));
    if (held) held.payload.consumed = Math.floor(Date.now() / 1000);
  }
  async destroy(id) { memory.delete(this.key(id)); }
  async revokeByGrantId(grant) {
    for (const [key, held] of memory) if (held.payload?.grantId === grant) memory.delete(key);
  }
}

// ---- the provider ----------------------------------------------------------------------------------

const lifetimes = { access: 300, id: 300, device: 300 };
const counts = {};
const cookieKey = randomBytes(16).toString('hex');
const audienceOf = (resource) => (resource === 'urn:opaque' ? 'portcullis' : resource.replace(/^urn:/, ''));
let bare = false; // whether tokens for no resource are asked for just now
let hearing; // where logout tokens are sent
const browsers = new Map(); // cookies by user, of the last login

function settings() {
  return {
    adapter: Memory,
    jwks: { keys: generations.flat() },
    cookies: { keys: [cookieKey] },
    clients: [
      {
        client_id: 'person', client_secret: SECRET, redirect_uris: [RETURN_TO], response_types: ['code'],
        grant_types: ['authorization_code'], id_token_signed_response_alg: ALGORITHM,
        application_type: 'native',
        ...(hearing && { backchannel_logout_uri: hearing, backchannel_logout_session_required: true }),
      },
      {
        client_id: 'cli', token_endpoint_auth_method: 'none', application_type: 'native', response_types: ['code'],
        redirect_uris: ['http://127.0.0.1/callback'], id_token_signed_response_alg: ALGORITHM,
        grant_types: ['authorization_code', 'refresh_token', DEVICE_GRANT],
      },
      {
        client_id: 'console', client_secret: SECRET, response_types: ['code'], grant_types: ['authorization_code'],
        redirect_uris: [`${consoleAt}/sign-in/callback/panva`], id_token_signed_response_alg: ALGORITHM,
        post_logout_redirect_uris: [`${consoleAt}/signed-out`],
      },
      { client_id: 'gate', client_secret: SECRET, redirect_uris: [], response_types: [], grant_types: [] },
      ...Object.keys(MACHINES).map((client_id) => ({
        client_id, client_secret: SECRET, redirect_uris: [], response_types: [],
        grant_types: ['client_credentials'], id_token_signed_response_alg: ALGORITHM,
      })),
    ],
    scopes: ['openid', 'offline_access', 'profile', 'email', 'groups', 'api'],
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'], groups: ['groups'] },
    // Its own refuses addresses of this machine, where everything here is.
    fetch: (url, { dispatcher: _, ...options }) => globalThis.fetch(url, options),
    conformIdTokenClaims: false, // scope claims in the ID token too
    ttl: {
      AccessToken: () => lifetimes.access, ClientCredentials: () => lifetimes.access, IdToken: () => lifetimes.id,
      AuthorizationCode: 60, DeviceCode: () => lifetimes.device, RefreshToken: 3600, Grant: 3600, Interaction: 600, Session: 3600,
    },
    features: {
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      devInteractions: { enabled: true },
      introspection: { enabled: true, allowedPolicy: async (_context, client) => client.clientId === 'gate' },
      revocation: { enabled: true },
      backchannelLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => (bare ? undefined : 'urn:portcullis'),
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, resource) => ({
          scope: 'api groups', audience: audienceOf(resource), accessTokenFormat: resource === 'urn:opaque' ? 'opaque' : 'jwt',
          accessTokenTTL: lifetimes.access, jwt: { sign: { alg: ALGORITHM } },
        }),
      },
    },
    async extraTokenClaims(_context, token) {
      if (!token.resourceServer) return undefined;
      if (token.kind === 'ClientCredentials') return { groups: MACHINES[token.clientId] ?? [] };
      const { groups, email } = PEOPLE[token.accountId] ?? { groups: [] };
      return { groups, email };
    },
    async findAccount(_context, id) {
      const person = PEOPLE[id];
      return person && { accountId: id, claims: async () => ({ sub: id, ...person, email_verified: true }) };
    },
  };
}

let answer; // replaced as a whole when the keys move
function settle() {
  const provider = new Provider(issuer, settings());
  provider.on('server_error', (_context, error) => console.error('server_error', error));
  provider.on('grant.success', (context) => {
    const grant = context.oidc.params.grant_type;
    counts[grant] = (counts[grant] ?? 0) + 1;
  });
  provider.on('backchannel.error', (_context, error) => console.error('backchannel.error', error));
  answer = provider.callback();
}

function listen(handler, port = 0) {
  return new Promise((resolve, reject) => {
    const server = createServer(handler);
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

let front = await listen((request, response) => answer(request, response), Number(process.env.PORT ?? 0));
const port = front.address().port;
const issuer = `http://127.0.0.1:${port}`;
settle();

async function away(leave) {
  if (leave && front) {
    const closing = front;
    front = null;
    closing.closeAllConnections();
    await new Promise((resolve) => closing.close(resolve));
  }
  if (!leave && !front) front = await listen((request, response) => answer(request, response), port);
}

// ---- what a person's browser and a workload do -----------------------------------------------------

const basic = (client) => `Basic ${Buffer.from(`${client}:${SECRET}`).toString('base64')}`;

async function tokens(client, form) {
  const got = await fetch(`${issuer}/token`, {
    method: 'POST', headers: { authorization: basic(client) }, body: new URLSearchParams(form),
  });
  const body = await got.json();
  if (!got.ok) throw new Error(`the token endpoint says ${got.status}: ${JSON.stringify(body)}`);
  return body;
}

const machine = ({ client, audience = 'portcullis' }) =>
  tokens(client, { grant_type: 'client_credentials', scope: 'api', resource: `urn:${audience}` });

async function login({ user, audience = 'portcullis' }) {
  bare = audience === null;
  const verifier = randomBytes(32).toString('base64url');
  const resource = bare ? {} : { resource: `urn:${audience}` };
  const query = new URLSearchParams({
    client_id: 'person', response_type: 'code', redirect_uri: RETURN_TO, prompt: 'consent', state: 's', nonce: 'n',
    scope: 'openid profile email groups api', ...resource, code_challenge_method: 'S256',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  });
  const jar = new Map();
  let next = new URL(`/auth?${query}`, issuer);
  let form;
  for (let steps = 0; steps < 20; steps += 1) {
    const got = await fetch(next, {
      method: form ? 'POST' : 'GET', body: form, redirect: 'manual',
      headers: { cookie: [...jar].map((pair) => pair.join('=')).join('; ') },
    });
    form = undefined;
    for (const line of got.headers.getSetCookie()) {
      const [name, value] = line.split(';')[0].split(/=(.*)/s);
      if (value) jar.set(name, value); else jar.delete(name);
    }
    const location = got.headers.get('location');
    if (location) {
      next = new URL(location, issuer);
      const code = next.href.startsWith(RETURN_TO) && next.searchParams.get('code');
      if (code) {
        browsers.set(user, jar);
        return tokens('person', {
          grant_type: 'authorization_code', code, redirect_uri: RETURN_TO, code_verifier: verifier, ...resource,
        });
      }
      if (next.href.startsWith(RETURN_TO)) throw new Error(`no code came back: ${next.search}`);
    } else {
      // A page asks for something: to log in, or to consent.
      const asks = /name="prompt" value="(\w+)"/.exec(await got.text())?.[1];
      if (!asks) throw new Error(`a page with neither form nor redirect: ${got.status} at ${next}`);
      form = new URLSearchParams(asks === 'login' ? { prompt: asks, login: user, password: 'any' } : { prompt: asks });
    }
  }
  throw new Error('the login does not come to an end');
}

// A browser that answers what the provider's pages ask, until it is led away from the provider.
async function walk(start, user, deny) {
  const jar = new Map();
  let next = new URL(start, issuer);
  let form;
  for (let steps = 0; steps < 30; steps += 1) {
    const away = next.origin !== issuer;
    const got = await fetch(next, {
      method: form ? 'POST' : 'GET', body: form, redirect: 'manual',
      headers: away ? {} : { cookie: [...jar].map((pair) => pair.join('=')).join('; ') },
    });
    form = undefined;
    if (away) return { status: got.status, url: next.href, text: await got.text() };
    for (const line of got.headers.getSetCookie()) {
      const [name, value] = line.split(';')[0].split(/=(.*)/s);
      if (value) jar.set(name, value); else jar.delete(name);
    }
    const location = got.headers.get('location');
    if (location) {
      next = new URL(location, issuer);
      continue;
    }
    const page = await got.text();
    const value = (name) => new RegExp(`name="${name}" value="([^"]*)"`).exec(page)?.[1];
    const asks = value('prompt');
    if (asks && deny) next = new URL(`${next.pathname}/abort`, issuer);
    else if (asks === 'login') form = new URLSearchParams({ prompt: asks, login: user, password: 'any' });
    else if (asks) form = new URLSearchParams({ prompt: asks });
    else if (value('xsrf') && value('user_code')) {
      // First the code alone, then whether it is the one on the device.
      const last = value('confirm') ? { [deny ? 'abort' : 'confirm']: 'yes' } : {};
      next = new URL(next.pathname, issuer);
      form = new URLSearchParams({ xsrf: value('xsrf'), user_code: value('user_code'), ...last });
    } else return { status: got.status, url: next.href, text: page };
  }
  throw new Error('the login does not come to an end');
}

const browse = ({ url, user, deny }) => walk(url, user, deny);
const device = ({ code, user, deny }) => walk(`/device?user_code=${encodeURIComponent(code)}`, user, deny);

// Ends the session as the person's browser does, which makes the provider tell everybody.
async function logout({ user }) {
  const cookie = [...browsers.get(user)].map((pair) => pair.join('=')).join('; ');
  const page = await (await fetch(`${issuer}/session/end?client_id=person`, { headers: { cookie } })).text();
  const xsrf = /name="xsrf" value="(\w+)"/.exec(page)?.[1];
  if (!xsrf) throw new Error(`no form to log out with: ${page}`);
  const said = await fetch(`${issuer}/session/end/confirm`, {
    method: 'POST', headers: { cookie }, redirect: 'manual', body: new URLSearchParams({ xsrf, logout: 'yes' }),
  });
  if (said.status >= 400) throw new Error(`the logout fails: ${said.status} ${await said.text()}`);
}

async function revoke({ token }) {
  const said = await fetch(`${issuer}/token/revocation`, {
    method: 'POST', headers: { authorization: basic('person') }, body: new URLSearchParams({ token }),
  });
  if (!said.ok) throw new Error(`the revocation fails: ${said.status} ${await said.text()}`);
}

// ---- the operator's port ---------------------------------------------------------------------------

const orders = {
  '/keys': ({ do: order }) => {
    if (order === 'add') generations = [generation(), ...generations];
    else if (order === 'retire') generations = generations.slice(0, 1);
    else if (order === 'replace') generations = [generation()];
    else throw new Error(`no such order: ${order}`);
    settle();
  },
  '/lifetimes': (wanted) => { Object.assign(lifetimes, wanted); },
  '/away': ({ away: leave }) => away(leave),
  '/login': login,
  '/machine': machine,
  '/secret': () => ({ secret: SECRET }),
  '/browse': browse,
  '/device': device,
  '/counts': () => counts,
  '/console': ({ origin }) => {
    consoleAt = origin;
    settle();
    return { client: 'console', secret: SECRET };
  },
  '/hear': ({ url }) => {
    hearing = url;
    settle();
  },
  '/logout': logout,
  '/revoke': revoke,
};

const control = await listen(async (request, response) => {
  let text = '';
  for await (const chunk of request) text += chunk;
  try {
    const order = orders[request.url];
    if (!order) throw new Error(`no such order: ${request.url}`);
    const result = await order(text ? JSON.parse(text) : {});
    const kids = generations.flat().map((key) => key.kid);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(result ?? { kids, lifetimes, away: !front }));
  } catch (error) {
    response.statusCode = 500;
    response.end(String(error.stack ?? error));
  }
});

console.log(JSON.stringify({ issuer, secret: SECRET, control: `http://127.0.0.1:${control.address().port}` }));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
