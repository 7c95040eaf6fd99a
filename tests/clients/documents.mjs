// What every client sends here: the operations as text, and the arguments of the command line.
// A client prints one JSON line: {"token", "uploaded": [file], "listed": [file]}.
import { openAsBlob } from 'node:fs';
import { basename } from 'node:path';

export const SIGN_UP = `
  mutation SignUp($input: SignupInput!) {
    signup(input: $input) { accessToken user { id username } problems { code message } }
  }
`;

export const UPLOAD_ONE = `
  mutation UploadFile($input: UploadFileInput!) {
    uploadFile(input: $input) { file { id name size digest } problems { code message } }
  }
`;

export const UPLOAD_SEVERAL = `
  mutation UploadFiles($input: UploadFilesInput!) {
    uploadFiles(input: $input) {
      results { file { id name size digest } problems { code message } }
      problems { code message }
    }
  }
`;

export const FILES = `
  query Files {
    viewer { username }
    files(first: 10, orderBy: { field: NAME, direction: ASC }) { edges { node { id name size digest } } }
  }
`;

const [url, username, ...paths] = process.argv.slice(2);

export { url };

export const account = { username, email: `${username}@example.org`, password: 'three clients and one service' };

export async function chosenFiles() {
  return Promise.all(paths.map(async (path) => new File([await openAsBlob(path)], basename(path))));
}

export function report(token, one, several, list) {
  const results = [one.uploadFile, ...several.uploadFiles.results];
  const problems = results.flatMap((result) => result.problems);
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  const uploaded = results.map(({ file }) => file);
  const listed = list.files.edges.map(({ node }) => node);
  process.stdout.write(`${JSON.stringify({ token, uploaded, listed, viewer: list.viewer })}\n`);
}
