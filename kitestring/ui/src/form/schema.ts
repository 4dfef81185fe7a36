/**
 * The form of a connector's configuration: JSON Schema as Airbyte's specs use it.
 *
 * `kindOf` decides how the page shows a schema; `cleanValue` and `validate` decide what the page sends. The server
 * checks each configuration with the connector itself and decides what is valid.
 */

import { t } from '../text';
import { patternProblem } from './pattern';

export interface Schema {
  type?: string | string[];
  title?: string;
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  examples?: unknown[];
  oneOf?: Schema[];
  anyOf?: Schema[];
  allOf?: Schema[];
  $ref?: string;
  format?: string;
  pattern?: string;
  pattern_descriptor?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  minLength?: number;
  minItems?: number;
  order?: number;
  group?: string;
  always_show?: boolean;
  airbyte_secret?: boolean;
  airbyte_hidden?: boolean;
  multiline?: boolean;
  [keyword: string]: unknown;
}

export type Values = Record<string, unknown>;

/** The mask that replaces a stored secret: the server never returns secrets. */
export const MASK = '**********';

export type Kind = 'choice' | 'enum' | 'boolean' | 'number' | 'text' | 'texts' | 'items' | 'group' | 'json';

/** Resolve references, `allOf` and null; the result determines how to show the field. */
export function resolveSchema(schema: Schema, root: Schema = schema, depth = 0): Schema {
  if (depth > 20) return {};
  let resolved = schema;
  if (resolved.$ref?.startsWith('#/')) {
    const target = resolved.$ref
      .slice(2)
      .split('/')
      .reduce<unknown>((node, key) => (node as Values | undefined)?.[key], root) as Schema | undefined;
    const { $ref: _, ...rest } = resolved;
    resolved = { ...target, ...rest };
  }
  if (resolved.allOf) {
    const { allOf, ...rest } = resolved;
    const parts = [...allOf, rest].map((part) => resolveSchema(part, root, depth + 1));
    resolved = Object.assign({}, ...parts, {
      ...(parts.some((part) => part.properties) && { properties: Object.assign({}, ...parts.map((part) => part.properties)) }),
      required: parts.flatMap((part) => part.required ?? []),
    }) as Schema;
  }
  const variants = (resolved.oneOf ?? resolved.anyOf)?.filter((variant) => variant.type !== 'null').map((variant) => resolveSchema(variant, root, depth + 1));
  if (variants) {
    const { oneOf: _, anyOf: __, ...rest } = resolved;
    resolved = variants.length === 1 ? { ...variants[0], ...rest } : { ...rest, oneOf: variants };
  }
  if (Array.isArray(resolved.type)) {
    const types = resolved.type.filter((type) => type !== 'null');
    resolved = { ...resolved, type: types.length === 1 ? types[0] : types };
  }
  if (resolved.properties) {
    resolved = {
      ...resolved,
      properties: Object.fromEntries(
        Object.entries(resolved.properties).map(([name, property]) => [name, resolveSchema(property, root, depth + 1)]),
      ),
    };
  }
  if (resolved.items) resolved = { ...resolved, items: resolveSchema(resolved.items, root, depth + 1) };
  return resolved;
}

export function kindOf(schema: Schema): Kind {
  if (schema.oneOf) {
    if (schema.oneOf.every((variant) => variant.const !== undefined)) return 'enum';
    return schema.oneOf.every((variant) => variant.properties || variant.type === 'object') ? 'choice' : 'json';
  }
  if (schema.enum || schema.const !== undefined) return 'enum';
  if (schema.type === 'boolean') return 'boolean';
  if (schema.type === 'integer' || schema.type === 'number') return 'number';
  if (schema.type === 'string') return 'text';
  if (schema.type === 'array') {
    const item = schema.items && kindOf(schema.items);
    if (item === 'text' && !schema.items?.airbyte_secret) return 'texts';
    if (item === 'enum') return 'texts';
    return item === 'group' || item === 'choice' ? 'items' : 'json';
  }
  return schema.properties && Object.keys(schema.properties).length > 0 ? 'group' : 'json';
}

/** The values of an `enum` field, with their labels. */
export function choices(schema: Schema): { value: unknown; label: string }[] {
  if (schema.oneOf) return schema.oneOf.map((variant) => ({ value: variant.const, label: variant.title ?? String(variant.const) }));
  return (schema.enum ?? [schema.const]).filter((constant) => constant !== null).map((constant) => ({ value: constant, label: String(constant) }));
}

export function label(name: string, schema: Schema): string {
  const text = schema.title ?? name.replace(/[_-]+/g, ' ').trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The visible fields of an object, in order. Constants are hidden: they only identify a variant. */
export function fieldsOf(schema: Schema): [string, Schema][] {
  return Object.entries(schema.properties ?? {})
    .filter(([, property]) => !property.airbyte_hidden && property.const === undefined && !isConstant(property))
    .map((entry, position) => ({ entry, position }))
    .sort((a, b) => (a.entry[1].order ?? 1e6) - (b.entry[1].order ?? 1e6) || a.position - b.position)
    .map((field) => field.entry);
}

/** Older specs write a constant as an enumeration with one value that is also the default. */
function isConstant(schema: Schema): boolean {
  return schema.enum?.length === 1 && schema.enum[0] === schema.default;
}

export function constants(schema: Schema): Values {
  const values: Values = {};
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (property.const !== undefined) values[name] = property.const;
    else if (isConstant(property)) values[name] = property.default;
  }
  return values;
}

/** The index of the variant that a value belongs to: the first whose constants match; -1 for none. */
export function variantIndex(schema: Schema, value: unknown): number {
  if (typeof value !== 'object' || value === null) return -1;
  const variants = schema.oneOf ?? [];
  const matches = (variant: Schema) => Object.entries(constants(variant)).every(([name, constant]) => (value as Values)[name] === constant);
  const match = variants.findIndex((variant) => Object.keys(constants(variant)).length > 0 && matches(variant));
  if (match >= 0) return match;
  // Variants without a constant: the first that has all properties of the value.
  const names = Object.keys(value);
  return variants.findIndex((variant) => matches(variant) && names.every((name) => name in (variant.properties ?? {})));
}

/** The initial value of a field: suggested values, else defaults and constants of required fields. */
export function initialValue(schema: Schema, needed = true, suggested?: unknown): unknown {
  const kind = kindOf(schema);
  if (kind === 'group') {
    if (!needed && suggested === undefined) return undefined;
    const values = constants(schema);
    for (const [name, property] of fieldsOf(schema)) {
      const inner = initialValue(property, schema.required?.includes(name) ?? false, (suggested as Values | undefined)?.[name]);
      if (inner !== undefined) values[name] = inner;
    }
    return values;
  }
  if (kind === 'choice') {
    const defaults = (suggested ?? schema.default) as Values | undefined;
    if (!needed && suggested === undefined) return undefined;
    const variant = schema.oneOf?.[Math.max(0, variantIndex(schema, defaults))];
    return variant && { ...(initialValue({ ...variant, type: 'object', properties: variant.properties ?? {} }) as Values), ...defaults };
  }
  return suggested ?? (needed && schema.default !== undefined ? schema.default : undefined);
}

/** The schema of the field at a path; of a choice the first variant that has it. */
export function schemaAt(schema: Schema, path: string): Schema | undefined {
  const [name = '', ...rest] = path.split('.');
  const child = /^\d+$/.test(name) ? schema.items : [schema, ...(schema.oneOf ?? [])].map((part) => part.properties?.[name]).find(Boolean);
  return child && rest.length > 0 ? schemaAt(child, rest.join('.')) : child;
}

/** The value at a path (`credentials.api_token`). */
export function valueAt(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((node, key) => (node as Values | undefined | null)?.[key], value);
}

function isEmpty(value: unknown): boolean {
  return (
    value === undefined || value === null || value === '' ||
    (typeof value === 'object' && Object.keys(value).length === 0)
  );
}

/** The configuration to send, without empty values: the connector's defaults apply to them. */
export function cleanValue(schema: Schema, value: unknown, needed = true): unknown {
  const kind = kindOf(schema);
  if (kind === 'group' || (kind === 'choice' && typeof value === 'object' && value !== null)) {
    const objectSchema = kind === 'choice' ? schema.oneOf?.[variantIndex(schema, value)] : schema;
    if (!objectSchema) return value;
    const values: Values = {};
    for (const [name, raw] of Object.entries((value ?? {}) as Values)) {
      const inner = objectSchema.properties?.[name];
      const clean = inner ? cleanValue(inner, raw, objectSchema.required?.includes(name) ?? false) : raw;
      if (clean !== undefined) values[name] = clean;
    }
    const filled = Object.keys(values).some((name) => !(name in constants(objectSchema)));
    if (kind === 'group' && !filled && !needed) return undefined;
    return { ...constants(objectSchema), ...values };
  }
  if (kind === 'items' && Array.isArray(value)) {
    const items = value.map((item) => cleanValue(schema.items!, item));
    return items.length || needed ? items : undefined;
  }
  if (isEmpty(value)) return needed && kind === 'texts' ? [] : undefined;
  return value;
}

/** Validation errors by path (`credentials.api_token`); only errors that the user can correct in the form. */
export function validate(schema: Schema, value: unknown, needed = true, path = ''): Record<string, string> {
  const kind = kindOf(schema);
  if (kind === 'group' || kind === 'choice') {
    if (value === undefined && !needed) return {};
    const objectSchema = kind === 'choice' ? schema.oneOf?.[variantIndex(schema, value)] : schema;
    if (!objectSchema) return { [path]: t('Choose an option.') };
    const errors: Record<string, string> = {};
    for (const [name, property] of fieldsOf(objectSchema)) {
      const inside = (value as Values | undefined)?.[name];
      Object.assign(errors, validate(property, inside, objectSchema.required?.includes(name) ?? false, path ? `${path}.${name}` : name));
    }
    return errors;
  }
  if (kind === 'items' && Array.isArray(value)) {
    return Object.assign({}, ...value.map((item, n) => validate(schema.items!, item, true, `${path}.${n}`)));
  }
  if (isEmpty(value)) {
    if (!needed) return {};
    if (kind === 'texts' || kind === 'items') return schema.minItems ? { [path]: t('Enter at least one value.') } : {};
    return kind === 'boolean' || schema.default !== undefined || kind === 'json' ? {} : { [path]: t('This field is required.') };
  }
  if (kind === 'json' && typeof value === 'string' && schema.type !== undefined) {
    return { [path]: t('This is not valid JSON.') };
  }
  if (kind === 'number') {
    const number = Number(value);
    if (schema.minimum !== undefined && number < schema.minimum) return { [path]: t('At least {number}.', { number: schema.minimum }) };
    if (schema.exclusiveMinimum !== undefined && number <= schema.exclusiveMinimum)
      return { [path]: t('More than {number}.', { number: schema.exclusiveMinimum }) };
    if (schema.maximum !== undefined && number > schema.maximum) return { [path]: t('At most {number}.', { number: schema.maximum }) };
  }
  if (kind === 'text' && schema.pattern && value !== MASK && !/^\$\{\w+:.+\}$/.test(String(value))) {
    try {
      if (!new RegExp(schema.pattern, 'u').test(String(value)))
        return { [path]: patternProblem(schema) };
    } catch {
      // A pattern in another regular expression dialect: the server checks it.
    }
  }
  return {};
}

/** Whether a field belongs to “Optional settings”: not required, and not marked `always_show`. */
export function isOptionalSetting(parent: Schema, name: string, schema: Schema): boolean {
  if (parent.required?.includes(name) || schema.always_show) return false;
  if (schema.group === 'advanced') return true;
  const optional = fieldsOf(parent).filter(
    ([key, property]) => !parent.required?.includes(key) && !property.always_show && property.group !== 'advanced',
  );
  const first = fieldsOf(parent).some(([key, property]) => parent.required?.includes(key) || property.always_show);
  return first && optional.length > 3;
}
