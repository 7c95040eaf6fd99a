import { createGraphiQLFetcher } from '@graphiql/toolkit';
import type { Fetcher, FetcherOpts, FetcherParams, Observable } from '@graphiql/toolkit';
import { getOperationAST } from 'graphql';
import type { ExecutionResult } from 'graphql';
import { createClient } from 'graphql-ws';
import type { SubscribePayload } from 'graphql-ws';

import { multipartBody } from './multipart';
import type { Attachment } from './multipart';
import { change, takeLeaving } from './outbox';

/** What GraphiQL hands to an observable; the type it publishes allows more. */
interface Observer {
  next: (result: ExecutionResult) => void;
  error: (error: Error) => void;
  complete: () => void;
}

const ENDPOINT = new URL('graphql', document.baseURI).href;
const SOCKET = ENDPOINT.replace(/^http/, 'ws');
const HEADERS = {
  accept: 'application/graphql-response+json, application/json',
  'graphql-require-preflight': '1',
};

const sendJson = createGraphiQLFetcher({ url: ENDPOINT, headers: HEADERS, enableIncrementalDelivery: false });

/** The header editor's headers; "Bearer " without a token is a form not filled in yet, not a wrong credential. */
function filledIn({ headers = {} }: FetcherOpts = {}): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [name, String(value)] as const);
  return Object.fromEntries(entries.filter(([, value]) => !/^(Bearer)?\s*$/i.test(value)));
}

/** XMLHttpRequest, because fetch cannot say how much of a body has left. */
function sendBody(body: FormData, headers: Record<string, string>, observer: Observer): XMLHttpRequest {
  const request = new XMLHttpRequest();
  request.open('POST', ENDPOINT);
  Object.entries({ ...HEADERS, ...headers }).forEach(([name, value]) => request.setRequestHeader(name, value));
  request.upload.onprogress = ({ loaded, total }) => change({ sent: total ? loaded / total : 0 });
  request.onloadend = () => change({ sent: null });
  request.onerror = () => observer.error(new Error('The connection broke before an answer came.'));
  request.onload = () => {
    try {
      observer.next(JSON.parse(request.responseText));
      observer.complete();
    } catch {
      observer.error(new Error(`The answer is not JSON: ${request.status} ${request.statusText}`));
    }
  };
  change({ sent: 0 });
  request.send(body);
  return request;
}

/** An observable, so that GraphiQL's stop button ends the upload. */
function sendFiles(params: FetcherParams, headers: Record<string, string>, attachments: readonly Attachment[]) {
  const subscribe = (observer: Observer) => {
    const request = sendBody(multipartBody(params, attachments), headers, observer);
    return { unsubscribe: () => request.abort() };
  };
  return { subscribe } as Observable<ExecutionResult>;
}

/** A socket says who asks when it opens, so that each subscription has one of its own, with the headers of its time. */
function follow(params: FetcherParams, headers: Record<string, string>) {
  const subscribe = (observer: Observer) => {
    // What closes it is shown, not tried again: the person who reads it decides.
    const client = createClient({ url: SOCKET, connectionParams: headers, retryAttempts: 0 });
    const sink = { ...observer, error: (reason: unknown) => observer.error(errorOf(reason)) };
    return { unsubscribe: client.subscribe(params as SubscribePayload, sink) };
  };
  return { subscribe } as Observable<ExecutionResult>;
}

function errorOf(reason: unknown): Error {
  if (!(reason instanceof CloseEvent)) return reason as Error;
  return new Error(`The connection was closed (${reason.code}). ${reason.reason}`.trim());
}

function isSubscription({ operationName }: FetcherParams, options?: FetcherOpts): boolean {
  const document = options?.documentAST;
  return document !== undefined && getOperationAST(document, operationName)?.operation === 'subscription';
}

export const fetcher: Fetcher = (params, options) => {
  const headers = filledIn(options);
  const attachments = takeLeaving();
  if (attachments.length > 0) return sendFiles(params, headers, attachments);
  return isSubscription(params, options) ? follow(params, headers) : sendJson(params, { ...options, headers });
};
