// Apollo Client 4 with a GraphQLWsLink beside its HttpLink, as its documentation splits them.
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { OperationTypeNode } from 'graphql';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

import { url } from './documents.mjs';
import { print, signUp, story } from './streams.mjs';

const token = await signUp();
const httpLink = new HttpLink({ uri: url, headers: { authorization: `Bearer ${token}` } });
const wsLink = new GraphQLWsLink(
  createClient({
    url: url.replace('http', 'ws'),
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
  }),
);
const isSubscription = ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION;
const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: ApolloLink.split(isSubscription, wsLink, httpLink),
});

function subscribe(query, variables, onData) {
  let stop;
  const ended = new Promise((resolve, reject) => {
    const next = ({ data, error }) => (error ? reject(error) : onData(data));
    const subscription = client.subscribe({ query: gql(query), variables }).subscribe({ next, error: reject, complete: resolve });
    stop = () => { subscription.unsubscribe(); resolve(); };
  });
  return { ended, stop };
}

async function ask(query) {
  const { data } = await client.query({ query: gql(query) });
  return data;
}

print(await story(token, { subscribe, ask }));
