/** What is on the page as a call of the API: for a shell, and for Python. Both run as they are copied. */

export interface Call {
  /** The address of the server. */
  origin: string;
  path: string;
  body: unknown;
  /** Whether the server asks for a token; it is read from the environment and never part of the text. */
  token: boolean;
}

/** For a shell, with curl. */
export function asCurl({ origin, path, body, token }: Call): string {
  const lines = [`curl -sS -X POST ${quoted(origin + path)}`, `  -H 'Content-Type: application/json'`];
  if (token) lines.push(`  -H "Authorization: Bearer $KITESTRING_TOKEN"`);
  lines.push(`  -d ${quoted(JSON.stringify(body))}`);
  return lines.join(' \\\n');
}

/** For Python, with its standard library alone. */
export function asPython({ origin, path, body, token }: Call, key: 'rows' | 'data' | 'points'): string {
  const headers = token
    ? `{"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["KITESTRING_TOKEN"]}`
    : `{"Content-Type": "application/json"}`;
  return [
    'import json',
    ...(token ? ['import os'] : []),
    'import urllib.request',
    '',
    `body = ${literal(body)}`,
    'request = urllib.request.Request(',
    `    ${literal(origin + path)},`,
    '    json.dumps(body).encode(),',
    `    ${headers},`,
    ')',
    'with urllib.request.urlopen(request) as answer:',
    '    page = json.load(answer)',
    `for row in page["${key}"]:`,
    '    print(row)',
    '',
  ].join('\n');
}

/** A text in single quotes, in which a shell changes nothing. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function literal(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'object') {
    if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
    return `{${Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .map(([name, inner]) => `${literal(name)}: ${literal(inner)}`)
      .join(', ')}}`;
  }
  // JSON's texts and numbers are Python's.
  return JSON.stringify(value);
}
