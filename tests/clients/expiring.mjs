// graphql-ws with access tokens that end: a connection closed as forbidden has it fetch the next, as its recipe shows.
import { CloseCode, createClient } from 'graphql-ws';
import WebSocket from 'ws';

import { account, url } from './documents.mjs';
import { FILE_CHANGED, knock, print, send, until } from './streams.mjs';

const SIGN_UP = 'mutation ($input: SignupInput!) { signup(input: $input) { accessToken refreshToken } }';
const LOG_IN = 'mutation ($input: LoginInput!) { login(input: $input) { accessToken } }';
const REFRESH = 'mutation ($input: RefreshSessionInput!) { refreshSession(input: $input) { accessToken refreshToken } }';

let tokens = (await send(SIGN_UP, { input: account })).signup;
let isToRefresh = false;
const [codes, changes] = [[], []];

async function logIn() {
  const { username, password } = account;
  return (await send(LOG_IN, { input: { username, password } })).login.accessToken;
}

const client = createClient({
  url: url.replace('http', 'ws'),
  webSocketImpl: WebSocket,
  connectionParams: async () => {
    if (isToRefresh) {
      tokens = (await send(REFRESH, { input: { refreshToken: tokens.refreshToken } })).refreshSession;
      isToRefresh = false;
    }
    return { Authorization: `Bearer ${tokens.accessToken}` };
  },
  on: {
    closed: ({ code }) => {
      codes.push(code);
      if (code === CloseCode.Forbidden) isToRefresh = true;
    },
  },
});

const sink = {
  next: ({ data }) => changes.push(data.fileChanged.kind),
  error: (error) => { throw error; },
  complete: () => {},
};
const stop = client.subscribe({ query: FILE_CHANGED }, sink);
await knock(await logIn(), () => changes.length > 0);
await until(() => codes.length > 0);
const before = changes.length;
await knock(await logIn(), () => changes.length > before);
stop();
print({ codes: [...new Set(codes)], kinds: [...new Set(changes)] });
