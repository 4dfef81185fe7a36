/** The API client: JSON over fetch with the session cookie and CSRF token; errors have a message and a hint. */

export const OWN = '/api/kitestring/v1';
export const PUBLIC = '/api/public/v1';

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
    throw new ApiError(0, 'The server does not answer', 'Check that `kitestring up` is still running, then try again.');
  }
  if (!response.ok) throw await refusal(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** Parse the problem JSON of a response. Its `detail` ends with the hint, which is shown separately. */
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
