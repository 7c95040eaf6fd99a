// graphql-sse in its distinct connections mode, as its documentation shows it; then streams by the dozen, each aborted.
import { createClient } from 'graphql-sse';

import { url } from './documents.mjs';
import { UPLOAD_PROGRESS, announce, print, signUp, story, until } from './streams.mjs';

const token = await signUp();
const client = createClient({ url, headers: { Authorization: `Bearer ${token}` } });

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
  const { value, done } = await answers.next();
  if (done || !(await answers.next()).done) throw new Error('A query has one answer.');
  return value.data;
}

const told = await story(token, { subscribe, ask });
const upload = await announce(token, 'never.txt', 1);
let aborted = 0;
for (; aborted < 80; aborted += 1) {
  let isBegun = false;
  const { ended, stop } = subscribe(UPLOAD_PROGRESS, { id: upload.id }, () => (isBegun = true));
  ended.catch((error) => { throw error; });
  await until(() => isBegun);
  stop();
  await ended;
}
print({ ...told, aborted });
