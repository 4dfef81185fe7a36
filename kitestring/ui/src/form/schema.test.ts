/** The forms of all connectors of ours, as the command line prints their specs. */
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

import { cleaned, constants, fieldsOf, initial, kindOf, label, MASK, plain, type Schema, type Values, wayOf, wrong } from './schema';

const python = process.env.KITESTRING_PYTHON ?? '.venv/bin/python';
const specs = JSON.parse(
  execFileSync(
    python,
    [
      '-c',
      'import json; from kitestring import registry\n' +
        'print(json.dumps({f"{k} {c.name}": c.spec() for k in ("source", "destination") for c in registry.connectors(k)}))',
    ],
    { encoding: 'utf-8', cwd: '../..', maxBuffer: 2 ** 26 },
  ),
) as Record<string, Schema>;

/** A value that a person could enter, for everything or only for what is needed. */
function entered(schema: Schema, everything: boolean, way = 0): unknown {
  const kind = kindOf(schema);
  if (kind === 'group') {
    const made: Values = constants(schema);
    for (const [name, one] of fieldsOf(schema))
      if (everything || schema.required?.includes(name)) made[name] = entered(one, everything, way);
    return made;
  }
  if (kind === 'choice') {
    const ways = schema.oneOf!;
    return entered({ ...ways[way % ways.length]!, type: 'object', oneOf: undefined }, everything, way);
  }
  if (kind === 'enum') return schema.oneOf ? schema.oneOf[0]!.const : (schema.enum ?? [schema.const])[0];
  if (kind === 'boolean') return true;
  if (kind === 'number') return schema.minimum ?? (schema.exclusiveMinimum !== undefined ? schema.exclusiveMinimum + 1 : 1);
  if (kind === 'texts') return schema.items?.enum ? [schema.items.enum[0]] : ['one', 'two'];
  if (kind === 'items') return [entered(schema.items!, everything, way)];
  if (kind === 'json') return { any: 'thing' };
  const example = schema.examples?.find((one) => typeof one === 'string');
  return example ?? (schema.pattern?.includes('Z$') ? '2024-01-01T00:00:00Z' : 'text');
}

function* places(schema: Schema, path = ''): Generator<[string, Schema]> {
  for (const [name, one] of fieldsOf(schema)) {
    yield [`${path}${name}`, one];
    for (const inner of [one, ...(one.oneOf ?? []), ...(one.items ? [one.items] : [])]) yield* places(inner, `${path}${name}.`);
  }
}

it('there are as many specs as connectors', () => {
  expect(Object.keys(specs).length).toBeGreaterThan(20);
});

describe.each(Object.entries(specs))('%s', (_, spec) => {
  const schema = plain(spec);

  it('has a kind of field and a label for each option', () => {
    expect(kindOf(schema)).toBe('group');
    for (const [path, one] of places(schema)) {
      expect(label(path, one), path).not.toBe('');
      if (kindOf(one) === 'choice') for (const way of one.oneOf!) expect(way.title, path).toBeTruthy();
    }
  });

  it('tells every needed option that is left empty', () => {
    const told = wrong(schema, initial(schema));
    for (const name of schema.required ?? []) {
      const one = schema.properties![name]!;
      if (!['text', 'number'].includes(kindOf(one)) || one.default !== undefined || one.airbyte_hidden) continue;
      expect(told, name).toHaveProperty([name]);
    }
  });

  it.each([0, 1, 2, 3, 4, 5, 6])('sends what was entered, as it was entered (way %i of each choice)', (way) => {
    for (const everything of [false, true]) {
      const value = entered(schema, everything, way);
      expect(wrong(schema, value)).toEqual({});
      expect(cleaned(schema, value)).toEqual(value);
      // What the server answers is shown again as the same choice.
      for (const [name, one] of fieldsOf(schema))
        if (kindOf(one) === 'choice' && (everything || schema.required?.includes(name)))
          expect(wayOf(one, (value as Values)[name]), name).toBe(way % one.oneOf!.length);
    }
  });
});

it('what is left empty is left out, and a masked secret is sent as it came', () => {
  const schema = plain({
    type: 'object',
    required: ['token'],
    properties: {
      token: { type: 'string', airbyte_secret: true, pattern: '^tok_' },
      note: { type: 'string' },
      tags: { type: 'array', items: { type: 'string' } },
      more: { type: 'object', properties: { deep: { type: 'integer', default: 3 } } },
    },
  });
  expect(cleaned(schema, { token: MASK, note: '', tags: [], more: {} })).toEqual({ token: MASK });
  expect(wrong(schema, { token: MASK })).toEqual({});
  expect(wrong(schema, { token: 'other' })).toHaveProperty('token');
});

it('older ways to write a schema are understood: references, allOf, null, constants as enumerations', () => {
  const schema = plain({
    type: 'object',
    definitions: { host: { type: ['null', 'string'], title: 'Host' } },
    properties: {
      host: { $ref: '#/definitions/host' },
      port: { anyOf: [{ type: 'integer' }, { type: 'null' }] },
      both: { allOf: [{ type: 'object', properties: { a: { type: 'string' } } }], required: ['a'] },
      way: {
        oneOf: [
          { title: 'One', properties: { kind: { type: 'string', enum: ['one'], default: 'one' }, x: { type: 'string' } } },
          { title: 'Two', properties: { kind: { type: 'string', enum: ['two'], default: 'two' } } },
        ],
      },
    },
  });
  const kinds = Object.fromEntries(fieldsOf(schema).map(([name, one]) => [name, kindOf(one)]));
  expect(kinds).toEqual({ host: 'text', port: 'number', both: 'group', way: 'choice' });
  expect(wayOf(schema.properties!.way!, { kind: 'two' })).toBe(1);
  expect(schema.properties!.both!.required).toEqual(['a']);
});
