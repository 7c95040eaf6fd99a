// urql with subscriptions as its documentation shows them: by graphql-ws, or ("sse") by its own fetchExchange.
import { Client, cacheExchange, fetchExchange, subscriptionExchange } from '@urql/core';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

import { url } from './documents.mjs';
import { print, signUp, story } from './streams.mjs';

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
print({ ...told, types });
