// urql, whose fetchExchange sends files by itself: signs up, uploads one file, then two at once, and lists.
import { Client, cacheExchange, fetchExchange } from '@urql/core';

import { FILES, SIGN_UP, UPLOAD_ONE, UPLOAD_SEVERAL, account, chosenFiles, report, url } from './documents.mjs';

let token = null;
const client = new Client({
  url,
  exchanges: [cacheExchange, fetchExchange],
  fetchOptions: () => ({ headers: token ? { authorization: `Bearer ${token}` } : {} }),
});

async function answer(result) {
  const { data, error } = await result.toPromise();
  if (error) throw error;
  return data;
}

const mutate = (mutation, input) => answer(client.mutation(mutation, { input }));

token = (await mutate(SIGN_UP, account)).signup.accessToken;
const [first, second] = await chosenFiles();
const one = await mutate(UPLOAD_ONE, { file: first });
const several = await mutate(UPLOAD_SEVERAL, { files: [{ file: second }, { file: first, name: `again-${first.name}` }] });
report(token, one, several, await answer(client.query(FILES, {})));
