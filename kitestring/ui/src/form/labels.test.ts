import { expect, test } from 'vitest';

import { labelsOf, withLabels } from './labels';
import { resolveSchema } from './schema';

const labels = labelsOf(
  resolveSchema({
    type: 'object',
    properties: {
      host: { type: 'string', title: 'Server or file' },
      credentials: {
        title: 'Credentials',
        oneOf: [
          { title: 'OAuth client', properties: { kind: { const: 'client_credentials' }, client_id: { type: 'string', title: 'Client identifier' }, name: { type: 'string', title: 'One' } } },
          { title: 'API token (until May)', properties: { kind: { const: 'api_token' }, api_token: { type: 'string', title: 'API token' }, token: { type: 'string' }, name: { type: 'string', title: 'Other' } } },
        ],
      },
    },
  }),
);

test('a key is named by its label, and the constant of a variant by its title', () => {
  expect(withLabels('Check client_id, then `credentials`.', labels)).toBe('Check **Client identifier**, then **Credentials**.');
  expect(withLabels('`client_credentials` or `credentials.api_token`', labels)).toBe('**OAuth client** or **API token**');
});

test('words, values and keys with two meanings stay', () => {
  for (const text of ['the host is away', 'https://example.com/client_id', '`host: ./a.db`', '`.host`', '`name`', 'other_key', '${client_id}', 'client_id.yaml()'])
    expect(withLabels(text, labels)).toBe(text);
  expect(withLabels('`host`', labels)).toBe('**Server or file**');
});
