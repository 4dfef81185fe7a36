/**
 * The form of a connector's configuration: JSON Schema as Airbyte's specs use it.
 *
 * What a schema looks like on the page is decided here (`kindOf`), and what leaves the page (`cleaned`, `wrong`). The
 * server has the last word on what is valid: it checks each configuration with the connector itself.
 */

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
  [more: string]: unknown;
}

export type Values = Record<string, unknown>;

/** What stands in the place of a secret that the server keeps: it never tells one. */
export const MASK = '**********';

export type Kind = 'choice' | 'enum' | 'boolean' | 'number' | 'text' | 'texts' | 'items' | 'group' | 'json';

/** A schema without references, `allOf` and null: what is left says how to show it. */
export function plain(schema: Schema, root: Schema = schema, depth = 0): Schema {
  if (depth > 20) return {};
  let made = schema;
  if (made.$ref?.startsWith('#/')) {
    const found = made.$ref
      .slice(2)
      .split('/')
      .reduce<unknown>((node, key) => (node as Values | undefined)?.[key], root) as Schema | undefined;
    const { $ref: _, ...own } = made;
    made = { ...found, ...own };
  }
  if (made.allOf) {
    const { allOf, ...own } = made;
    const parts = [...allOf, own].map((one) => plain(one, root, depth + 1));
    made = Object.assign({}, ...parts, {
      ...(parts.some((one) => one.properties) && { properties: Object.assign({}, ...parts.map((one) => one.properties)) }),
      required: parts.flatMap((one) => one.required ?? []),
    }) as Schema;
  }
  const ways = (made.oneOf ?? made.anyOf)?.filter((one) => one.type !== 'null').map((one) => plain(one, root, depth + 1));
  if (ways) {
    const { oneOf: _, anyOf: __, ...own } = made;
    made = ways.length === 1 ? { ...ways[0], ...own } : { ...own, oneOf: ways };
  }
  if (Array.isArray(made.type)) {
    const types = made.type.filter((one) => one !== 'null');
    made = { ...made, type: types.length === 1 ? types[0] : types };
  }
  if (made.properties) {
    made = {
      ...made,
      properties: Object.fromEntries(
        Object.entries(made.properties).map(([name, one]) => [name, plain(one, root, depth + 1)]),
      ),
    };
  }
  if (made.items) made = { ...made, items: plain(made.items, root, depth + 1) };
  return made;
}

export function kindOf(schema: Schema): Kind {
  if (schema.oneOf) {
    if (schema.oneOf.every((one) => one.const !== undefined)) return 'enum';
    return schema.oneOf.every((one) => one.properties || one.type === 'object') ? 'choice' : 'json';
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

/** The values that an `enum` field can have, with what each is called. */
export function choices(schema: Schema): { value: unknown; label: string }[] {
  if (schema.oneOf) return schema.oneOf.map((one) => ({ value: one.const, label: one.title ?? String(one.const) }));
  return (schema.enum ?? [schema.const]).filter((one) => one !== null).map((one) => ({ value: one, label: String(one) }));
}

export function label(name: string, schema: Schema): string {
  const said = schema.title ?? name.replace(/[_-]+/g, ' ').trim();
  return said.charAt(0).toUpperCase() + said.slice(1);
}

/** What is shown of an object, in its order; a constant only tells the ways of a choice apart. */
export function fieldsOf(schema: Schema): [string, Schema][] {
  return Object.entries(schema.properties ?? {})
    .filter(([, one]) => !one.airbyte_hidden && one.const === undefined && !isConstant(one))
    .map((entry, place) => ({ entry, place }))
    .sort((a, b) => (a.entry[1].order ?? 1e6) - (b.entry[1].order ?? 1e6) || a.place - b.place)
    .map((one) => one.entry);
}

/** An enumeration of one text that is the default too is how older specs write a constant. */
function isConstant(schema: Schema): boolean {
  return schema.enum?.length === 1 && schema.enum[0] === schema.default;
}

export function constants(schema: Schema): Values {
  const found: Values = {};
  for (const [name, one] of Object.entries(schema.properties ?? {})) {
    if (one.const !== undefined) found[name] = one.const;
    else if (isConstant(one)) found[name] = one.default;
  }
  return found;
}

/** Which way of a choice a value takes: the first whose constants it bears; -1 for none. */
export function wayOf(schema: Schema, value: unknown): number {
  if (typeof value !== 'object' || value === null) return -1;
  const ways = schema.oneOf ?? [];
  const bears = (way: Schema) => Object.entries(constants(way)).every(([name, one]) => (value as Values)[name] === one);
  const marked = ways.findIndex((way) => Object.keys(constants(way)).length > 0 && bears(way));
  if (marked >= 0) return marked;
  // Ways without a constant: the one that knows the value's options.
  const names = Object.keys(value);
  return ways.findIndex((way) => bears(way) && names.every((name) => name in (way.properties ?? {})));
}

/** What a field has before anything is entered: what is needed and can only be so. */
export function initial(schema: Schema, needed = true): unknown {
  const kind = kindOf(schema);
  if (kind === 'group') {
    if (!needed) return undefined;
    const made = constants(schema);
    for (const [name, one] of fieldsOf(schema)) {
      const inner = initial(one, schema.required?.includes(name) ?? false);
      if (inner !== undefined) made[name] = inner;
    }
    return made;
  }
  if (kind === 'choice') {
    const given = schema.default as Values | undefined;
    if (!needed) return undefined;
    const way = schema.oneOf?.[Math.max(0, wayOf(schema, given))];
    return way && { ...(initial({ ...way, type: 'object', properties: way.properties ?? {} }) as Values), ...given };
  }
  return needed && schema.default !== undefined ? schema.default : undefined;
}

function isEmpty(value: unknown): boolean {
  return (
    value === undefined || value === null || value === '' ||
    (typeof value === 'object' && Object.keys(value).length === 0)
  );
}

/** The configuration to send: what was left empty is left out, and the connector's default holds. */
export function cleaned(schema: Schema, value: unknown, needed = true): unknown {
  const kind = kindOf(schema);
  if (kind === 'group' || (kind === 'choice' && typeof value === 'object' && value !== null)) {
    const way = kind === 'choice' ? schema.oneOf?.[wayOf(schema, value)] : schema;
    if (!way) return value;
    const made: Values = {};
    for (const [name, one] of Object.entries((value ?? {}) as Values)) {
      const inner = way.properties?.[name];
      const kept = inner ? cleaned(inner, one, way.required?.includes(name) ?? false) : one;
      if (kept !== undefined) made[name] = kept;
    }
    const filled = Object.keys(made).some((name) => !(name in constants(way)));
    if (kind === 'group' && !filled && !needed) return undefined;
    return { ...constants(way), ...made };
  }
  if (kind === 'items' && Array.isArray(value)) {
    const made = value.map((one) => cleaned(schema.items!, one));
    return made.length || needed ? made : undefined;
  }
  if (isEmpty(value)) return needed && kind === 'texts' ? [] : undefined;
  return value;
}

/** What is wrong with a value, by path (`credentials.api_token`). Only what a person can mend here. */
export function wrong(schema: Schema, value: unknown, needed = true, path = ''): Record<string, string> {
  const kind = kindOf(schema);
  if (kind === 'group' || kind === 'choice') {
    if (value === undefined && !needed) return {};
    const way = kind === 'choice' ? schema.oneOf?.[wayOf(schema, value)] : schema;
    if (!way) return { [path]: 'Choose one.' };
    const found: Record<string, string> = {};
    for (const [name, one] of fieldsOf(way)) {
      const inside = (value as Values | undefined)?.[name];
      Object.assign(found, wrong(one, inside, way.required?.includes(name) ?? false, path ? `${path}.${name}` : name));
    }
    return found;
  }
  if (kind === 'items' && Array.isArray(value)) {
    return Object.assign({}, ...value.map((one, n) => wrong(schema.items!, one, true, `${path}.${n}`)));
  }
  if (isEmpty(value)) {
    if (!needed) return {};
    if (kind === 'texts' || kind === 'items') return schema.minItems ? { [path]: 'Enter at least one.' } : {};
    return kind === 'boolean' || schema.default !== undefined || kind === 'json' ? {} : { [path]: 'This is needed.' };
  }
  if (kind === 'json' && typeof value === 'string' && schema.type !== undefined) {
    return { [path]: 'This is no JSON.' };
  }
  if (kind === 'number') {
    const number = Number(value);
    if (schema.minimum !== undefined && number < schema.minimum) return { [path]: `At least ${schema.minimum}.` };
    if (schema.exclusiveMinimum !== undefined && number <= schema.exclusiveMinimum)
      return { [path]: `More than ${schema.exclusiveMinimum}.` };
    if (schema.maximum !== undefined && number > schema.maximum) return { [path]: `At most ${schema.maximum}.` };
  }
  if (kind === 'text' && schema.pattern && value !== MASK && !/^\$\{\w+:.+\}$/.test(String(value))) {
    try {
      if (!new RegExp(schema.pattern, 'u').test(String(value)))
        return { [path]: schema.pattern_descriptor ? `Write it like ${schema.pattern_descriptor}.` : `It has to match ${schema.pattern}.` };
    } catch {
      // A pattern of another language: the server knows it.
    }
  }
  return {};
}

/** Whether a field waits behind “Optional settings”: not needed, and not marked as always to be shown. */
export function isAside(parent: Schema, name: string, schema: Schema): boolean {
  if (parent.required?.includes(name) || schema.always_show) return false;
  if (schema.group === 'advanced') return true;
  const optional = fieldsOf(parent).filter(
    ([key, one]) => !parent.required?.includes(key) && !one.always_show && one.group !== 'advanced',
  );
  const first = fieldsOf(parent).some(([key, one]) => parent.required?.includes(key) || one.always_show);
  return first && optional.length > 3;
}
