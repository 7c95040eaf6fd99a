// urql with subscriptions as its documentation shows them: by graphql-ws, or ("sse") by its own fetchExchange.
// In the end it watches what it sends itself, in one request, under an id of its choosing.
import { Client, cacheExchange, fetchExchange, subscriptionExchange } from '@urql/core';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

import { UPLOAD_ONE, url } from './documents.mjs';
import { UPLOAD_PROGRESS, print, signUp, story, until } from './streams.mjs';

const token = await signUp();
const types = [];

async function noting(input, options) {
  const answer = await fetch(input, options);
  types.push(answer.headers.get('content-type').split(';')[0]);
  return answer;
}

function overWebSocket() {
  const wsClient = createClient({
    url: url.replace('http', 'ws'),
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: `Bearer ${token}` },
  });
  return subscriptionExchange({
    forwardSubscription(request) {
      const input = { ...request, query: request.query || '' };
      return { subscribe: (sink) => ({ unsubscribe: wsClient.subscribe(input, sink) }) };
    },
  });
}

const isSse = process.argv[4] === 'sse';
const client = new Client({
  url,
  exchanges: [cacheExchange, fetchExchange, ...(isSse ? [] : [overWebSocket()])],
  fetchSubscriptions: isSse,
  fetchOptions: { headers: { authorization: `Bearer ${token}` } },
  fetch: noting,
});

function subscribe(query, variables, onData) {
  let stop;
  const ended = new Promise((resolve, reject) => {
    const { unsubscribe } = client.subscription(query, variables).subscribe(({ data, error, hasNext }) => {
      if (error) reject(error);
      else onData(data);
      if (!hasNext) resolve();
    });
    stop = () => { unsubscribe(); resolve(); };
  });
  return { ended, stop };
}

async function ask(query) {
  const { data, error } = await client.query(query, {}).toPromise();
  if (error) throw error;
  return data;
}

const told = await story(token, { subscribe, ask });

const uploadId = `upl_${crypto.randomUUID().replaceAll('-', '')}`;
const own = [];
const watched = subscribe(UPLOAD_PROGRESS, { id: uploadId }, (data) => own.push(data.uploadProgress));
await until(() => own.length > 0);
const file = new File(['a line of many\n'.repeat(200_000)], 'own.txt');
const { data } = await client.mutation(UPLOAD_ONE, { input: { file, uploadId } }).toPromise();
await watched.ended;
print({ ...told, types, own, sent: data.uploadFile.file.size });
