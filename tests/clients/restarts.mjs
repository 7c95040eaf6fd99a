// A client of streams ("ws" or "sse") that the service leaves, and that is there again when the service is.
// Prints a line once it is subscribed, and what it heard after it was connected anew.
import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createWsClient } from 'graphql-ws';
import WebSocket from 'ws';

import { url } from './documents.mjs';
import { FILE_CHANGED, knock, print, signUp } from './streams.mjs';

const token = await signUp();
const headers = { Authorization: `Bearer ${token}` };
const patience = { retryAttempts: Infinity };
const [changes, connections, codes] = [[], [], []];

const client =
  process.argv[4] === 'ws'
    ? createWsClient({
        url: url.replace('http', 'ws'),
        webSocketImpl: WebSocket,
        connectionParams: headers,
        retryWait: () => new Promise((resolve) => setTimeout(resolve, 200)),
        shouldRetry: () => true,
        on: { connected: () => connections.push(changes.length), closed: ({ code }) => codes.push(code) },
        ...patience,
      })
    : createSseClient({
        url,
        headers,
        retry: () => new Promise((resolve) => setTimeout(resolve, 200)),
        on: { connected: () => connections.push(changes.length) },
        ...patience,
      });

const stop = client.subscribe(
  { query: FILE_CHANGED },
  {
    next: ({ data }) => changes.push(data.fileChanged),
    error: (error) => { throw error; },
    complete: () => { if (connections.length < 2) throw new Error('It ended with the service.'); },
  },
);
await knock(token, () => changes.length > 0);
print('subscribed');
await knock(token, () => connections.length > 1 && changes.length > connections.at(-1));
stop();
print({ heard: changes.slice(connections.at(-1)), codes });
