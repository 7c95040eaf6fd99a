// What every client of streams does here: it signs up, hears of files, follows an upload, asks, and stops.
// A client gives `subscribe(query, variables, onData)`, which returns {ended, stop}, and `ask(query)`.
import { SIGN_UP, account, url } from './documents.mjs';

export const FILE_CHANGED = `
  subscription FileChanged { fileChanged { kind file { name } actor { username } } }
`;

export const UPLOAD_PROGRESS = `
  subscription UploadProgress($id: ID!) { uploadProgress(id: $id) { state receivedBytes size file { name } } }
`;

export const VIEWER = '{ viewer { username } }';

const ANNOUNCE = `
  mutation Announce($input: CreateUploadInput!) {
    createUpload(input: $input) { uploadSession { id url } problems { message } }
  }
`;

const PATIENCE_SECONDS = 60; // more than anything here takes on any machine: only what hangs ends by it

export async function send(query, variables, token) {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
  return (await answer.json()).data;
}

export async function signUp() {
  return (await send(SIGN_UP, { input: account })).signup.accessToken;
}

export async function until(reached) {
  const end = Date.now() + PATIENCE_SECONDS * 1000;
  while (!reached()) {
    if (Date.now() > end) throw new Error(`It never came true: ${reached}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function announce(token, name, size) {
  const { createUpload } = await send(ANNOUNCE, { input: { name, size, transport: 'TUS' } }, token);
  if (createUpload.problems.length > 0) throw new Error(JSON.stringify(createUpload.problems));
  return createUpload.uploadSession;
}

/** Bytes of an upload from an offset on. */
export async function patch(upload, token, offset, bytes) {
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/offset+octet-stream',
    'tus-resumable': '1.0.0',
    'upload-offset': String(offset),
  };
  const answer = await fetch(upload.url, { method: 'PATCH', headers, body: bytes });
  if (answer.status !== 204) throw new Error(`${answer.status}: ${await answer.text()}`);
}

async function uploadSmall(token, name) {
  await patch(await announce(token, name, 2), token, 0, 'hi');
}

/** Upload small files until somebody hears of one: nothing says when a subscription has begun. */
export async function knock(token, isHeard) {
  for (let number = 1; !isHeard(); number += 1) {
    if (number > 5 * PATIENCE_SECONDS) throw new Error('Nobody hears.');
    await uploadSmall(token, `knock-${number}.txt`).catch(() => null); // the service may be away
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

export async function story(token, { subscribe, ask }) {
  const changes = [];
  const files = subscribe(FILE_CHANGED, {}, (data) => changes.push(data.fileChanged));
  await knock(token, () => changes.length > 0);

  const progress = [];
  const half = 'half of a line and '.repeat(10_000);
  const upload = await announce(token, 'watched.txt', 2 * half.length);
  const watched = subscribe(UPLOAD_PROGRESS, { id: upload.id }, (data) => progress.push(data.uploadProgress));
  await until(() => progress.length > 0);
  await patch(upload, token, 0, half);
  await until(() => progress.at(-1).receivedBytes === half.length);
  await patch(upload, token, half.length, half);
  await watched.ended;
  await until(() => changes.some(({ file }) => file?.name === 'watched.txt'));

  const { viewer } = await ask(VIEWER);
  files.stop();
  await files.ended;
  return { viewer, progress, changes, half: half.length };
}

export function print(told) {
  process.stdout.write(`${JSON.stringify(told)}\n`);
}
