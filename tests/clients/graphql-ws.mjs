// graphql-ws, as its documentation shows it: lazy, the token in connectionParams, pings, a query by the same socket.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

import { url } from './documents.mjs';
import { print, signUp, story, until } from './streams.mjs';

const token = await signUp();
const seen = [];
let pongs = 0;
const client = createClient({
  url: url.replace('http', 'ws'),
  webSocketImpl: WebSocket,
  connectionParams: async () => ({ Authorization: `Bearer ${token}` }),
  keepAlive: 100,
  on: {
    pong: (isReceived) => { if (isReceived) pongs += 1; },
    connected: () => seen.push('connected'),
    closed: ({ code }) => seen.push(code),
  },
});

function subscribe(query, variables, onData) {
  let stop;
  const ended = new Promise((resolve, reject) => {
    const next = ({ data, errors }) => (errors ? reject(new Error(errors[0].message)) : onData(data));
    stop = client.subscribe({ query, variables }, { next, error: reject, complete: resolve });
  });
  return { ended, stop };
}

async function ask(query) {
  const answers = client.iterate({ query });
  const { value } = await answers.next();
  return value.data;
}

const before = [...seen];
const told = await story(token, { subscribe, ask });
await until(() => seen.length > 1);
print({ ...told, before, seen, pongs });
