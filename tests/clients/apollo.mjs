// Apollo Client 4 with apollo-upload-client: signs up, uploads one file, then one and the same file twice, and lists.
import { ApolloClient, InMemoryCache, gql } from '@apollo/client';
import { SetContextLink } from '@apollo/client/link/context';
import UploadHttpLink from 'apollo-upload-client/UploadHttpLink.mjs';

import { FILES, SIGN_UP, UPLOAD_ONE, UPLOAD_SEVERAL, account, chosenFiles, report, url } from './documents.mjs';

let token = null;
const authorization = new SetContextLink(({ headers }) => ({
  headers: token ? { ...headers, authorization: `Bearer ${token}` } : headers,
}));
const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: authorization.concat(new UploadHttpLink({ uri: url, headers: { 'Apollo-Require-Preflight': 'true' } })),
});

async function mutate(mutation, input) {
  const { data } = await client.mutate({ mutation: gql(mutation), variables: { input } });
  return data;
}

token = (await mutate(SIGN_UP, account)).signup.accessToken;
const [first, second] = await chosenFiles();
const one = await mutate(UPLOAD_ONE, { file: first });
const several = await mutate(UPLOAD_SEVERAL, { files: [{ file: second }, { file: second, name: `again-${second.name}` }] });
const { data: list } = await client.query({ query: gql(FILES) });
report(token, one, several, list);
