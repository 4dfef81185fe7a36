/** The inputs of a user: the properties of the spec, and the templates that read them. */
import { type Doc, parse, type Path, type Splice, spliced } from '../document/document';
import { isObject } from '../document/layout';
import { SCALAR } from '../document/tree';

export const SPECIFICATION: Path = ['spec', 'connection_specification'];
export const PROPERTIES: Path = [...SPECIFICATION, 'properties'];

const SECRET = /key|token|secret|password|passphrase/i;
/** The keys whose value is the path of an input. */
const INPUT_PATH = /(_config_path|^path_in_connector_config)$/;
const READ = /config\[\s*(['"])([^'"\]]+)\1\s*\]|config\.get\(\s*(['"])([^'"]+)\3|config\.([A-Za-z_]\w*)/g;

export const ACCESS_TOKEN = 'oauth_access_token';
export const TOKEN_EXPIRY = 'oauth_token_expiry_date';
const KEPT = 'The connector keeps it by itself. Clear it when you enter another refresh token.';
/** Inputs that a connector fills in by itself: no user has to. */
const RENEWED: Record<string, Record<string, unknown>> = {
  [ACCESS_TOKEN]: { type: 'string', title: 'Access token', description: KEPT, airbyte_secret: true },
  [TOKEN_EXPIRY]: { type: 'string', title: 'Expiry of the access token', description: KEPT },
};

/** The inputs that the templates of a value read, and those at its paths of one key. */
export function inputsOf(value: unknown): string[] {
  const names = new Set<string>();
  const walk = (part: unknown) => {
    if (typeof part === 'string') {
      if (part.includes('{{') || part.includes('{%')) {
        for (const match of part.matchAll(READ)) {
          const name = match[2] ?? match[4] ?? match[5];
          if (name !== undefined) names.add(name);
        }
      }
    } else if (Array.isArray(part)) part.forEach(walk);
    else if (isObject(part)) {
      for (const [key, inner] of Object.entries(part)) {
        if (!INPUT_PATH.test(key) || !Array.isArray(inner)) walk(inner);
        else if (inner.length === 1) names.add(String(inner[0]));
      }
    }
  };
  walk(value);
  return [...names];
}

/** The inputs that nothing outside of the form mentions: neither a template nor a path of keys, as in the choice of an authentication. */
export function unreadInputs(doc: Doc): string[] {
  const names = new Set(doc.keys(PROPERTIES));
  const form = doc.origin(SPECIFICATION)?.path ?? SPECIFICATION;
  const { tree } = doc;
  for (let node = 0; node < tree.count && names.size > 0; node++) {
    if (tree.kind(node) !== SCALAR) continue;
    const words = tree.content(node).match(/[\w.-]+/g) ?? [];
    const mentioned = words.flatMap((word) => [word, ...word.split(/[.-]/)]).filter((word) => names.has(word));
    if (mentioned.length === 0) continue;
    const path = tree.path(node);
    if (!form.every((key, index) => path[index] === key)) mentioned.forEach((word) => names.delete(word));
  }
  return [...names];
}

/** The inputs that one place reads now, and nothing would read once it has another value. */
export function inputsOnlyAt(doc: Doc, path: Path): string[] {
  const read = inputsOf(doc.get(path));
  if (read.length === 0) return [];
  const without = unreadInputs(parse(spliced(doc.text, doc.set(path, { type: 'NoAuth' }))));
  return read.filter((name) => without.includes(name));
}

/** The order of the inputs on the form: by `order`, the others behind, as they stand. */
export function inputNames(doc: Doc): string[] {
  const names = doc.keys(PROPERTIES);
  const rank = (name: string) => {
    const order = doc.get([...PROPERTIES, name, 'order']);
    return typeof order === 'number' ? order : Infinity;
  };
  return names.map((name, index) => ({ name, index, order: rank(name) })).sort((a, b) => (a.order === b.order ? a.index - b.index : a.order - b.order)).map(({ name }) => name);
}

/** A new input. What its name says is secret, is one. */
export function newInput(name: string, order: number): Record<string, unknown> {
  if (Object.hasOwn(RENEWED, name)) return { ...RENEWED[name], order };
  const title = name
    .replace(/_/g, ' ')
    .replace(/^./, (letter) => letter.toUpperCase())
    .replace(/\b(api|url|id)\b/gi, (word) => word.toUpperCase());
  const isDate = /date|_at$/.test(name);
  return { type: 'string', title, order, ...(SECRET.test(name) && { airbyte_secret: true }), ...(isDate && { format: 'date', pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' }) };
}

/** The splices that add the inputs which do not exist yet. `dropped`: inputs that nothing reads any more. */
export function withInputs(doc: Doc, names: readonly string[], required = true, dropped: readonly string[] = []): Splice[] {
  const present = doc.keys(PROPERTIES);
  const missing = names.filter((name) => !present.includes(name));
  const removed = dropped.filter((name) => present.includes(name) && !names.includes(name));
  if (missing.length === 0 && removed.length === 0) return [];
  const specification = doc.get(SPECIFICATION);
  const properties = Object.fromEntries(missing.map((name, index) => [name, newInput(name, present.length + index)]));
  const before = isObject(specification) ? specification : { type: 'object' };
  const needed = required ? missing.filter((name) => !Object.hasOwn(RENEWED, name)) : [];
  const requiredBefore: unknown[] = Array.isArray(before.required) ? before.required : [];
  const requiredNext = [...requiredBefore.filter((name) => !removed.includes(name as string)), ...needed];
  const kept = Object.entries(isObject(before.properties) ? before.properties : {}).filter(([name]) => !removed.includes(name));
  const next: Record<string, unknown> = {
    ...before,
    ...((requiredNext.length > 0 || requiredBefore.length > 0) && { required: requiredNext }),
    properties: { ...Object.fromEntries(kept), ...properties },
  };
  return doc.has(['spec']) ? doc.set(SPECIFICATION, next, { where: 'shared' }) : doc.set(['spec'], { type: 'Spec', connection_specification: next });
}

/** Give an input another name: in the spec, among the required ones, in the templates that read it, and in paths to it. */
export function renamedInput(doc: Doc, name: string, next: string): Splice[] {
  const origin = doc.origin([...PROPERTIES, name]);
  if (!origin || next.trim() === '' || doc.keys(PROPERTIES).includes(next)) return [];
  const splices = doc.rename(origin.path, next);
  if (splices.length === 0) return [];
  const required = doc.get([...SPECIFICATION, 'required']);
  if (Array.isArray(required) && required.includes(name)) {
    splices.push(...doc.set([...SPECIFICATION, 'required'], required.map((item: unknown) => (item === name ? next : item)), { where: 'shared' }));
  }
  const { tree } = doc;
  for (let node = 0; node < tree.count; node++) {
    if (tree.kind(node) !== SCALAR) continue;
    const content = tree.content(node);
    if (content === name) {
      const path = tree.path(node);
      if (path.at(-1) === 0 && INPUT_PATH.test(String(path.at(-2)))) splices.push(...doc.set(path, next));
    }
    if (!content.includes('config') || !inputsOf(content).includes(name)) continue;
    const changed = content.replace(READ, (read, _quote, item, __, argument, attribute) => ((item ?? attribute ?? argument) !== name ? read : attribute !== undefined && !/^\w+$/.test(next) ? `config['${next}']` : read.replace(name, () => next)));
    splices.push(...doc.set(tree.path(node), changed));
  }
  return splices;
}

/** Remove an input, and its name among the required ones. Templates that read it stay: they show as defects. */
export function removedInput(doc: Doc, name: string): Splice[] {
  const required = doc.get([...SPECIFICATION, 'required']);
  const rest = Array.isArray(required) ? required.filter((item) => item !== name) : [];
  return [
    ...doc.remove([...PROPERTIES, name], { where: 'shared' }),
    ...(Array.isArray(required) && rest.length < required.length ? doc.set([...SPECIFICATION, 'required'], rest.length > 0 ? rest : undefined, { where: 'shared' }) : []),
  ];
}

/** The splices that put the inputs in this order. */
export function orderedInputs(doc: Doc, names: readonly string[]): Splice[] {
  return names.flatMap((name, index) => (doc.get([...PROPERTIES, name, 'order']) === index ? [] : doc.set([...PROPERTIES, name, 'order'], index, { where: 'shared' })));
}
