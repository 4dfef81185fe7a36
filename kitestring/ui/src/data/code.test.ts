import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

import { asCurl, asPython, type Call } from './code';

const body = { stream: `it's "a" \\ $HOME`, where: { status: ['new', null], flag: true }, limit: 50, none: undefined };
const call: Call = { origin: 'http://127.0.0.1:8000', path: '/api/kitestring/v1/x', body, token: true };

test('a shell and Python read the body as it is', () => {
  const printed = execFileSync('sh', ['-c', `curl() { for word; do last=$word; done; printf %s "$last"; }\n${asCurl(call)}`]).toString();
  expect(JSON.parse(printed)).toEqual(JSON.parse(JSON.stringify(body)));
  const python = asPython(call, 'rows').split('request =')[0]!;
  const read = execFileSync(process.env.KITESTRING_PYTHON ?? 'python3', ['-c', `${python}\nprint(json.dumps(body))`]).toString();
  expect(JSON.parse(read)).toEqual(JSON.parse(JSON.stringify(body)));
});

test('a token is read from the environment, and only where the server asks for one', () => {
  expect(asCurl(call)).toContain('$KITESTRING_TOKEN');
  expect(asPython(call, 'rows')).toContain('os.environ["KITESTRING_TOKEN"]');
  for (const text of [asCurl({ ...call, token: false }), asPython({ ...call, token: false }, 'rows')]) expect(text).not.toContain('TOKEN');
});
