/** The API client: JSON over fetch with the session cookie and CSRF token; errors have a message and a hint. */
import { t } from '../text';
import { untilSignedIn } from './expiry';
import { type Attempt, sendOnce } from './mutation';
import { untilAnswer } from './online';

export const OWN = '/api/kitestring/v1';
export const PUBLIC = '/api/public/v1';
const SESSION = `${OWN}/session`;

/** An error response: message, hint and data. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    sentence: string,
    readonly hint: string = '',
    readonly data: Record<string, unknown> = {},
  ) {
    super(sentence);
  }
}

let csrf: string | null = null;

/** Set the CSRF token of the session; the server requires it for every change. */
export function setCsrf(token: string | null | undefined): void {
  csrf = token ?? null;
}

export type Query = Record<string, string | number | boolean | string[] | null | undefined>;

export function address(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === '') continue;
    for (const item of Array.isArray(value) ? value : [value]) parameters.append(key, String(item));
  }
  const text = parameters.toString();
  return text ? `${path}?${text}` : path;
}

export function headers(): Record<string, string> {
  // The server keeps who started a job: this interface, or another client of the API.
  return { 'X-Kitestring-Client': 'interface', ...(csrf && { 'X-CSRF-Token': csrf }) };
}

interface Request {
  query?: Query;
  body?: unknown;
  signal?: AbortSignal;
  idempotencyKey?: string;
  /** The version that is changed: 412 if it is another by now. */
  ifMatch?: string;
}

/** One request. If the session has expired, it waits until the user has signed in again, and is repeated. */
async function call(method: string, path: string, request: Request): Promise<Response> {
  const sent = csrf;
  const response = await attempt(method, path, request);
  if (path.startsWith(SESSION)) return response;
  if (response.status === 401) {
    await untilSignedIn();
    return call(method, path, request);
  }
  // Signed in again in another tab: this one has the CSRF token of the former session.
  if (response.status === 403 && method !== 'GET' && sent !== null && (await currentCsrf()) !== sent) return attempt(method, path, request);
  return response;
}

async function attempt(method: string, path: string, { query, body, signal, idempotencyKey, ifMatch }: Request): Promise<Response> {
  try {
    return await fetch(address(path, query), {
      method,
      signal,
      headers: {
        ...headers(),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
        ...(idempotencyKey && { 'Idempotency-Key': idempotencyKey }),
        ...(ifMatch && { 'If-Match': ifMatch }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, t('The server does not answer'), t('Check that `kitestring up` is still running, then try again.'));
  }
}

/** The CSRF token of the session as the server knows it now, set for the requests that follow. */
async function currentCsrf(): Promise<string | null> {
  const response = await attempt('GET', SESSION, {});
  if (response.ok) setCsrf(((await response.json()) as { csrfToken?: string | null }).csrfToken);
  return csrf;
}

async function answerOf<T>(response: Response): Promise<T> {
  if (!response.ok) throw await refusal(response);
  const text = await response.text();
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

/** Somebody else has changed what was loaded. */
export const isOvertaken = (error: unknown) => error instanceof ApiError && error.status === 412;

/** How often a read that gets no answer is repeated while the server answers others. */
const MAX_GLITCHES = 2;

/** The answer to a read. It changes nothing, so that it waits for a server that does not answer, instead of failing. */
async function receive(path: string, query?: Query, signal?: AbortSignal): Promise<Response> {
  for (let glitches = 0; ; ) {
    let error: ApiError;
    try {
      const response = await call('GET', path, { query, signal });
      if (response.status !== 502 && response.status !== 504) return response;
      error = await refusal(response);
    } catch (failure) {
      if (!(failure instanceof ApiError && failure.status === 0)) throw failure;
      error = failure;
    }
    const silent = await untilAnswer();
    signal?.throwIfAborted();
    if (!silent && ++glitches > MAX_GLITCHES) throw error;
  }
}

async function read<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  return answerOf<T>(await receive(path, query, signal));
}

/** A read with the version of what it answers, for the `If-Match` of a change. */
async function readVersion<T>(path: string): Promise<{ value: T; version: string }> {
  const response = await receive(path);
  return { version: response.headers.get('ETag') ?? '', value: await answerOf<T>(response) };
}

/** Whether the request may have been received or still runs. */
const unknownOutcome = (error: ApiError) => error.status === 0 || error.status === 502 || error.status === 504;

/** A question with a body: it changes nothing, may be asked twice, and the server keeps no copy of the answer. */
async function ask<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  return answerOf<T>(await call('POST', path, { body, signal }));
}

/** A question whose answer is read while it comes. */
async function open(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  const response = await call('POST', path, { body, signal });
  if (!response.ok) throw await refusal(response);
  return response;
}

/** A change, sent once: see mutation.ts. */
async function change<T>(method: string, path: string, body?: unknown, query?: Query, ifMatch?: string): Promise<T> {
  const name = `${method} ${address(path, query)} ${ifMatch ?? ''} ${JSON.stringify(body) ?? ''}`;
  return (
    await sendOnce<{ value: T }>(name, async (idempotencyKey): Promise<Attempt<{ value: T }>> => {
      try {
        const response = await call(method, path, { query, body, idempotencyKey, ifMatch });
        if (response.status === 409 && response.headers.has('Retry-After')) return { answer: null, error: await refusal(response) };
        return { answer: { value: await answerOf<T>(response) } };
      } catch (error) {
        if (error instanceof ApiError && unknownOutcome(error)) {
          void untilAnswer();
          return { answer: null, error };
        }
        throw error;
      }
    })
  ).value;
}

/** Parse the problem JSON of a response. Its `detail` ends with the hint, which is shown separately. */
export async function refusal(response: Response): Promise<ApiError> {
  const problem = (await response.json().catch(() => null)) as {
    detail?: string;
    data?: Record<string, unknown>;
  } | null;
  const hint = typeof problem?.data?.hint === 'string' ? problem.data.hint : '';
  let sentence = problem?.detail ?? t('The server answered {status}', { status: String(response.status) });
  if (hint && sentence.endsWith(hint)) sentence = sentence.slice(0, -hint.length).trim();
  return new ApiError(response.status, sentence.charAt(0).toUpperCase() + sentence.slice(1), hint, problem?.data);
}

export const api = {
  get: read,
  getVersion: readVersion,
  ask,
  open,
  post: <T>(path: string, body?: unknown, query?: Query) => change<T>('POST', path, body, query),
  put: <T>(path: string, body?: unknown, ifMatch?: string) => change<T>('PUT', path, body, undefined, ifMatch),
  patch: <T>(path: string, body?: unknown, ifMatch?: string) => change<T>('PATCH', path, body, undefined, ifMatch),
  delete: <T = void>(path: string, query?: Query, body?: unknown) => change<T>('DELETE', path, body, query),
};
