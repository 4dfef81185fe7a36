/** One way to the server: JSON over fetch, the session's cookie, its CSRF token, and errors as sentence and hint. */

export const OWN = '/api/kitestring/v1';
export const PUBLIC = '/api/public/v1';

/** A refusal by the server: a sentence, the next action, and facts. */
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

/** The token that belongs to the session's cookie; the server asks for it with every change. */
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
  return csrf ? { 'X-CSRF-Token': csrf } : {};
}

async function call<T>(method: string, path: string, body?: unknown, query?: Query, signal?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(address(path, query), {
      method,
      signal,
      headers: body === undefined ? headers() : { ...headers(), 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, 'The server does not answer', 'See whether `kitestring up` still runs, then try again.');
  }
  if (!response.ok) throw await refusal(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** The problem JSON of an answer. Its `detail` ends with the hint, which we show on its own. */
export async function refusal(response: Response): Promise<ApiError> {
  const problem = (await response.json().catch(() => null)) as {
    detail?: string;
    data?: Record<string, unknown>;
  } | null;
  const hint = typeof problem?.data?.hint === 'string' ? problem.data.hint : '';
  let sentence = problem?.detail ?? `The server answered ${response.status}`;
  if (hint && sentence.endsWith(hint)) sentence = sentence.slice(0, -hint.length).trim();
  return new ApiError(response.status, sentence.charAt(0).toUpperCase() + sentence.slice(1), hint, problem?.data);
}

export const api = {
  get: <T>(path: string, query?: Query, signal?: AbortSignal) => call<T>('GET', path, undefined, query, signal),
  post: <T>(path: string, body?: unknown, query?: Query) => call<T>('POST', path, body, query),
  put: <T>(path: string, body?: unknown) => call<T>('PUT', path, body),
  patch: <T>(path: string, body?: unknown) => call<T>('PATCH', path, body),
  delete: <T = void>(path: string, query?: Query, body?: unknown) => call<T>('DELETE', path, body, query),
};
