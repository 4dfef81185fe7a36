/** The forms of all connectors of ours, as the command line prints their specs. */
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

import { cleanValue, constants, fieldsOf, initialValue, kindOf, label, MASK, resolveSchema, type Schema, type Values, variantIndex, validate } from './schema';

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

/** A value that a user could enter, for all fields or only for required ones. */
function exampleValue(schema: Schema, everything: boolean, variant = 0): unknown {
  const kind = kindOf(schema);
  if (kind === 'group') {
    const values: Values = constants(schema);
    for (const [name, property] of fieldsOf(schema))
      if (everything || schema.required?.includes(name)) values[name] = exampleValue(property, everything, variant);
    return values;
  }
  if (kind === 'choice') {
    const variants = schema.oneOf!;
    return exampleValue({ ...variants[variant % variants.length]!, type: 'object', oneOf: undefined }, everything, variant);
  }
  if (kind === 'enum') return schema.oneOf ? schema.oneOf[0]!.const : (schema.enum ?? [schema.const])[0];
  if (kind === 'boolean') return true;
  if (kind === 'number') return schema.minimum ?? (schema.exclusiveMinimum !== undefined ? schema.exclusiveMinimum + 1 : 1);
  if (kind === 'texts') return schema.items?.enum ? [schema.items.enum[0]] : ['one', 'two'];
  if (kind === 'items') return [exampleValue(schema.items!, everything, variant)];
  if (kind === 'json') return { any: 'thing' };
  const example = schema.examples?.find((candidate) => typeof candidate === 'string');
  return example ?? (schema.pattern?.includes('Z$') ? '2024-01-01T00:00:00Z' : 'text');
}

function* walkProperties(schema: Schema, path = ''): Generator<[string, Schema]> {
  for (const [name, property] of fieldsOf(schema)) {
    yield [`${path}${name}`, property];
    for (const inner of [property, ...(property.oneOf ?? []), ...(property.items ? [property.items] : [])]) yield* walkProperties(inner, `${path}${name}.`);
  }
}

it('there are as many specs as connectors', () => {
  expect(Object.keys(specs).length).toBeGreaterThan(20);
});

describe.each(Object.entries(specs))('%s', (_, spec) => {
  const schema = resolveSchema(spec);

  it('has a kind of field and a label for each option', () => {
    expect(kindOf(schema)).toBe('group');
    for (const [path, property] of walkProperties(schema)) {
      expect(label(path, property), path).not.toBe('');
      if (kindOf(property) === 'choice') for (const variant of property.oneOf!) expect(variant.title, path).toBeTruthy();
    }
  });

  it('reports every required field that is empty', () => {
    const errors = validate(schema, initialValue(schema));
    for (const name of schema.required ?? []) {
      const property = schema.properties![name]!;
      if (!['text', 'number'].includes(kindOf(property)) || property.default !== undefined || property.airbyte_hidden) continue;
      expect(errors, name).toHaveProperty([name]);
    }
  });

  it.each([0, 1, 2, 3, 4, 5, 6])('sends values unchanged (variant %i of each choice)', (variant) => {
    for (const everything of [false, true]) {
      const value = exampleValue(schema, everything, variant);
      expect(validate(schema, value)).toEqual({});
      expect(cleanValue(schema, value)).toEqual(value);
      // A response of the server selects the same variant.
      for (const [name, property] of fieldsOf(schema))
        if (kindOf(property) === 'choice' && (everything || schema.required?.includes(name)))
          expect(variantIndex(property, (value as Values)[name]), name).toBe(variant % property.oneOf!.length);
    }
  });
});

it('empty values are dropped, and a masked secret is sent unchanged', () => {
  const schema = resolveSchema({
    type: 'object',
    required: ['token'],
    properties: {
      token: { type: 'string', airbyte_secret: true, pattern: '^tok_' },
      note: { type: 'string' },
      tags: { type: 'array', items: { type: 'string' } },
      more: { type: 'object', properties: { deep: { type: 'integer', default: 3 } } },
    },
  });
  expect(cleanValue(schema, { token: MASK, note: '', tags: [], more: {} })).toEqual({ token: MASK });
  expect(validate(schema, { token: MASK })).toEqual({});
  expect(validate(schema, { token: 'other' })).toHaveProperty('token');
});

it('older ways to write a schema are understood: references, allOf, null, constants as enumerations', () => {
  const schema = resolveSchema({
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
  const kinds = Object.fromEntries(fieldsOf(schema).map(([name, property]) => [name, kindOf(property)]));
  expect(kinds).toEqual({ host: 'text', port: 'number', both: 'group', way: 'choice' });
  expect(variantIndex(schema.properties!.way!, { kind: 'two' })).toBe(1);
  expect(schema.properties!.both!.required).toEqual(['a']);
});
