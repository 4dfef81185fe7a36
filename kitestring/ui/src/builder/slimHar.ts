/** A HAR file as it is sent to the server: calls with JSON answers. What else a browser records in it stays here. */

interface Named {
  name?: unknown;
  value?: unknown;
}

interface Entry {
  request?: { method?: unknown; url?: unknown; headers?: Named[]; postData?: unknown };
  response?: { status?: unknown; headers?: Named[]; content?: { mimeType?: unknown; text?: unknown; encoding?: unknown } };
}

/** The text of the reduced file; the text as it is where it is no HAR file, so that the server says what is wrong. */
export function slimHar(text: string): string {
  let entries: unknown;
  try {
    entries = (JSON.parse(text) as { log?: { entries?: unknown } } | null)?.log?.entries;
  } catch {
    return text;
  }
  if (!Array.isArray(entries)) return text;
  return JSON.stringify({ log: { version: '1.2', entries: (entries as Entry[]).filter(hasJson).map(slim) } });
}

function hasJson({ response }: Entry): boolean {
  return /json/i.test(String(response?.content?.mimeType ?? ''));
}

function slim({ request, response }: Entry): Entry {
  const { mimeType, text, encoding } = response?.content ?? {};
  return {
    request: { method: request?.method, url: request?.url, headers: request?.headers, postData: request?.postData },
    response: { status: response?.status, headers: response?.headers, content: { mimeType, text, encoding } },
  };
}
