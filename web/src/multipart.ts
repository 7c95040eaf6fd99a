import type { FetcherParams } from '@graphiql/toolkit';

/** A chosen file, and the variable it becomes: `input.file`, `input.files.0.file`. */
export interface Attachment {
  file: File;
  path: string;
}

type Tree = Record<string, unknown>;

/** Where attachments stand, variables hold null; objects and lists on the way there are made when they are missing. */
function withNullAt(variables: Tree, path: string): void {
  const keys = path.split('.');
  const last = keys.pop()!;
  let place = variables;
  keys.forEach((key, index) => {
    const next = keys[index + 1] ?? last;
    place[key] ??= /^\d+$/.test(next) ? [] : {};
    place = place[key] as Tree;
  });
  place[last] = null;
}

/** The request as the GraphQL multipart request specification lays it out: operations, map, then the files. */
export function multipartBody(params: FetcherParams, attachments: readonly Attachment[]): FormData {
  const variables = structuredClone((params.variables ?? {}) as Tree);
  attachments.forEach(({ path }) => withNullAt(variables, path));
  const map = Object.fromEntries(attachments.map(({ path }, index) => [index, [`variables.${path}`]]));
  const body = new FormData();
  body.append('operations', JSON.stringify({ ...params, variables }));
  body.append('map', JSON.stringify(map));
  attachments.forEach(({ file }, index) => body.append(String(index), file, file.name));
  return body;
}
