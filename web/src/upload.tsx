import { Button, pick, useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import type { GraphiQLPlugin } from '@graphiql/react';
import { getNullableType, isInputObjectType, isListType, isScalarType, typeFromAST } from 'graphql';
import type { GraphQLSchema, GraphQLType, OperationDefinitionNode } from 'graphql';

import type { Attachment } from './multipart';
import { change, sendWith, useOutbox } from './outbox';
import { UPLOAD_ONE, UPLOAD_SEVERAL } from './welcome';

function isUploadAt(type: GraphQLType | undefined, keys: readonly string[]): boolean {
  const inner = getNullableType(type);
  const [key, ...rest] = keys;
  if (key === undefined) return isScalarType(inner) && inner.name === 'Upload';
  if (isListType(inner)) return /^\d+$/.test(key) && isUploadAt(inner.ofType, rest);
  return isInputObjectType(inner) && isUploadAt(inner.getFields()[key]?.type, rest);
}

/** Whether an operation has a variable for this path. Without a schema (introspection is off) its name must do. */
function takes(operation: OperationDefinitionNode, path: string, schema: GraphQLSchema | null | undefined): boolean {
  const [name, ...keys] = path.split('.');
  const variable = operation.variableDefinitions?.find((definition) => definition.variable.name.value === name);
  if (variable === undefined) return false;
  return !schema || isUploadAt(typeFromAST(schema, variable.type), keys);
}

function attach(files: FileList | null): void {
  const chosen = [...(files ?? [])];
  const path = (index: number) => (chosen.length > 1 ? `input.files.${index}.file` : 'input.file');
  change({ attachments: chosen.map((file, index) => ({ file, path: path(index) })) });
}

function Row({ attachment, onChange }: { attachment: Attachment; onChange: (path: string) => void }) {
  return (
    <li>
      <span>{attachment.file.name}</span>
      <span>{attachment.file.size.toLocaleString()} bytes</span>
      <label>
        variable
        <input value={attachment.path} spellCheck={false} onChange={(event) => onChange(event.target.value)} />
      </label>
    </li>
  );
}

function UploadPanel() {
  const { attachments, sent } = useOutbox();
  const { run, setOperationName } = useGraphiQLActions();
  const state = useGraphiQL(pick('schema', 'operations', 'operationName', 'queryEditor', 'isFetching'));
  const able = (state.operations ?? []).filter((operation) =>
    attachments.every(({ path }) => takes(operation, path, state.schema)),
  );
  const operation = able.find(({ name }) => name?.value === state.operationName) ?? able[0];

  function rename(index: number, path: string): void {
    change({ attachments: attachments.map((old, place) => (place === index ? { ...old, path } : old)) });
  }

  function addOperation(): void {
    const { queryEditor } = state;
    queryEditor?.setValue(`${queryEditor.getValue()}\n${attachments.length > 1 ? UPLOAD_SEVERAL : UPLOAD_ONE}`);
  }

  function send(): void {
    if (operation?.name) setOperationName(operation.name.value);
    sendWith(run);
  }

  return (
    <section className="cairn-upload" aria-label="Upload">
      <h2>Upload</h2>
      <p>Chosen files become variables of an operation in the editor.</p>
      <input type="file" multiple aria-label="Files" onChange={(event) => attach(event.target.files)} />
      <ul>
        {attachments.map((attachment, index) => (
          <Row key={index} attachment={attachment} onChange={(path) => rename(index, path)} />
        ))}
      </ul>
      {attachments.length > 0 && operation && (
        <Button type="button" state="success" disabled={state.isFetching} onClick={send}>
          Send with {operation.name?.value ?? 'the operation'}
        </Button>
      )}
      {attachments.length > 0 && !operation && (
        <Button type="button" onClick={addOperation}>
          Add an operation that takes {attachments.length > 1 ? 'these files' : 'this file'}
        </Button>
      )}
      {sent !== null && <progress value={sent} aria-label="Sent" />}
    </section>
  );
}

function UploadIcon() {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden="true">
      <path d="M12 16V4m0 0L7 9m5-5 5 5M4 16v4h16v-4" />
    </svg>
  );
}

export const UPLOAD_PLUGIN: GraphiQLPlugin = { title: 'Upload', icon: UploadIcon, content: UploadPanel };
