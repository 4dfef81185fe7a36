import { expect, test } from 'vitest';

import type { Schema } from './schema';
import { withoutSecrets } from './secrets';

const SCHEMA: Schema = {
  type: 'object',
  properties: {
    host: { type: 'string' },
    port: { type: 'integer' },
    password: { type: 'string', airbyte_secret: true },
    tags: { type: 'array', items: { type: 'string' } },
    keys: { type: 'array', items: { type: 'string', airbyte_secret: true } },
    credentials: {
      type: 'object',
      oneOf: [
        { properties: { way: { const: 'token' }, token: { type: 'string', airbyte_secret: true } } },
        { properties: { way: { const: 'user' }, user: { type: 'string' }, token: { type: 'string' } } },
      ],
    },
  },
};

test('what is secret in any variant is left out at every depth, and so is what the schema does not know', () => {
  const values = {
    host: 'db.example.com',
    port: 0,
    password: 's3cret',
    tags: ['a'],
    keys: ['s3cret'],
    unknown: 's3cret',
    credentials: { way: 'token', token: 's3cret', user: 'rosa' },
  };
  const kept = withoutSecrets(values, SCHEMA);
  expect(JSON.stringify(kept)).not.toContain('s3cret');
  expect(kept).toEqual({ host: 'db.example.com', port: 0, tags: ['a'], keys: [], credentials: { way: 'token', user: 'rosa' } });
});
