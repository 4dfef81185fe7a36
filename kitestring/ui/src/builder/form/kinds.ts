/** Which input a value of a field gets: by the type of the field, and by its present value. */
import type { FieldType, Language } from '../document/language';
import { isObject } from '../document/layout';

export type Kind =
  | 'text'
  | 'template'
  | 'number'
  | 'integer'
  | 'boolean'
  | 'enum'
  | 'key'
  /** A list of texts, of numbers, of lists of texts. */
  | 'texts'
  | 'numbers'
  | 'paths'
  /** Values by name. */
  | 'table'
  | 'component'
  | 'components'
  | 'componentTable'
  /** Its YAML, in place. */
  | 'yaml';

export interface Option {
  kind: Kind;
  /** The components that it may be. */
  names: string[];
  values: readonly unknown[];
}

const option = (kind: Kind, more: Partial<Option> = {}): Option => ({ kind, names: [], values: [], ...more });

/** What a field of a type may be; components are one option together. */
export function optionsOf(language: Language, type: FieldType): Option[] {
  const options: Option[] = [];
  for (const alternative of language.alternatives(type)) {
    const next = optionOf(language, alternative);
    const same = options.find((other) => other.kind === next.kind);
    if (same) {
      same.names.push(...next.names);
      same.values = [...same.values, ...next.values];
    } else options.push(next);
  }
  return options;
}

function optionOf(language: Language, type: FieldType): Option {
  if (typeof type === 'string') {
    if (language.component(type)) return option('component', { names: [type] });
    return option(type === 'object' || type === 'schema' || type === 'value' ? 'yaml' : (type as Kind));
  }
  if ('enum' in type) return option('enum', { values: type.enum });
  if ('list' in type) {
    const names = language.components(type.list);
    const inner = language.alternatives(type.list);
    if (names.length === inner.length) return option('components', { names });
    if (inner.every((item) => item === 'text' || item === 'template')) return option('texts');
    if (inner.every((item) => item === 'integer' || item === 'number')) return option('numbers');
    if (inner.every((item) => typeof item === 'object' && 'list' in item)) return option('paths');
    return option('yaml');
  }
  if ('map' in type) {
    const names = language.components(type.map);
    const inner = language.alternatives(type.map);
    if (names.length === inner.length && names.length > 0) return option('componentTable', { names });
    return inner.includes('schema') ? option('yaml') : option('table');
  }
  return option('yaml');
}

const isText = (value: unknown) => typeof value === 'string';

/** The option that a value is of; undefined where it is none of them, and only its YAML can show it. */
export function optionFor(options: readonly Option[], value: unknown): Option | undefined {
  if (value === undefined) return options[0];
  const fits = (kind: Kind): boolean => {
    if (Array.isArray(value)) {
      if (kind === 'texts') return value.every(isText);
      if (kind === 'key') return value.every(isText);
      if (kind === 'numbers') return value.every((item) => typeof item === 'number');
      if (kind === 'paths') return value.every((item) => Array.isArray(item) && item.every(isText));
      return kind === 'components' && value.every((item) => isObject(item) || (isText(item) && (item as string).startsWith('#/')));
    }
    if (isObject(value)) return kind === 'component' || kind === 'table' || kind === 'componentTable';
    if (typeof value === 'boolean') return kind === 'boolean';
    if (typeof value === 'number') return kind === 'number' || kind === 'integer' || kind === 'template';
    return (kind === 'text' || kind === 'template' || kind === 'key') && isText(value);
  };
  return options.find((candidate) => candidate.kind === 'enum' && candidate.values.includes(value)) ?? options.find((candidate) => fits(candidate.kind));
}

/** What an option begins with; undefined where nothing is written before something is entered. */
export function initialValue(language: Language, { kind, names, values }: Option): unknown {
  if (kind === 'component') return newComponent(language, names[0]!);
  if (kind === 'components' || kind === 'texts' || kind === 'numbers' || kind === 'paths') return [];
  if (kind === 'table' || kind === 'componentTable') return {};
  if (kind === 'enum') return values[0];
  if (kind === 'boolean') return true;
  if (kind === 'text' || kind === 'template' || kind === 'key') return '';
  return undefined;
}

/** What components begin with where their fields alone say too little. */
const BEGINNINGS: Record<string, Record<string, unknown>> = {
  RequestOption: { inject_into: 'request_parameter' },
  DatetimeBasedCursor: {
    cursor_field: 'updated_at',
    datetime_format: '%Y-%m-%dT%H:%M:%SZ',
    start_datetime: { type: 'MinMaxDatetime', datetime: "{{ config['start_date'] }}", datetime_format: '%Y-%m-%d' },
  },
  OAuthAuthenticator: { client_id: '', client_secret: '', refresh_token: '', token_refresh_endpoint: '' },
  ApiKeyAuthenticator: { api_token: "{{ config['api_key'] }}", inject_into: { type: 'RequestOption', inject_into: 'header', field_name: 'X-API-Key' } },
  BearerAuthenticator: { api_token: "{{ config['api_key'] }}" },
  BasicHttpAuthenticator: { username: "{{ config['username'] }}", password: "{{ config['password'] }}" },
  InlineSchemaLoader: { schema: { type: 'object', properties: {} } },
};

/** A component with the fields that it needs. */
export function newComponent(language: Language, name: string, depth = 0): Record<string, unknown> {
  const component = language.component(name);
  const value: Record<string, unknown> = component?.typeless ? {} : { type: name };
  if (BEGINNINGS[name]) return { ...value, ...structuredClone(BEGINNINGS[name]) };
  for (const [field, facts] of Object.entries(component?.fields ?? {})) {
    if (!facts.required || depth > 4) continue;
    const first = optionsOf(language, facts.type)[0]!;
    const initial = first.kind === 'component' ? newComponent(language, first.names[0]!, depth + 1) : initialValue(language, first);
    if (initial !== undefined) value[field] = facts.default ?? initial;
  }
  return value;
}
