/** Server-sent events of an answer that is read while it comes. */

export interface ServerEvent {
  event: string;
  [field: string]: unknown;
}

/** The server-sent events of a body, as they come. */
export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  // A large event comes in many parts: they are joined once, at its end.
  let parts: string[] = [];
  let name = '';
  let data = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      const lines = decoder.decode(value, { stream: !done }).split('\n');
      for (const [index, part] of lines.entries()) {
        parts.push(part);
        if (index === lines.length - 1) break;
        const line = parts.join('');
        parts = [];
        if (line === '' && name !== '') {
          yield { ...(JSON.parse(data) as object), event: name };
          name = data = '';
        } else if (line.startsWith('event: ')) name = line.slice(7);
        else if (line.startsWith('data: ')) data = line.slice(6);
      }
      if (done) return;
    }
  } finally {
    // Whoever stops listening ends the read on the server too.
    void reader.cancel().catch(() => undefined);
  }
}
