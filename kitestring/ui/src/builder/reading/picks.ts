/** What a value of a real answer can be for a stream: its records, their key, their cursor. */
import type { JsonPath } from './JsonTree';

export interface Pick {
  kind: 'records' | 'key' | 'cursor';
  /** The path of the records in the answer (`*` for each item of a list around), or of the field in a record. */
  path: string[];
}

/** The picks at a place of an answer. */
export function picksAt(answer: unknown, path: JsonPath): Pick[] {
  const list = recordsAround(answer, path);
  if (list === null) return [];
  const records: Pick = { kind: 'records', path: path.slice(0, list).map((key) => (typeof key === 'number' ? '*' : key)) };
  const field = path.slice(list + 1);
  const value = valueAt(answer, path);
  const scalar = ['string', 'number'].includes(typeof value);
  if (field.length === 0 || !scalar || field.some((key) => typeof key === 'number')) return [records];
  const names = field as string[];
  // A cursor is a field of the record itself.
  return [records, { kind: 'key', path: names }, ...(names.length === 1 ? [{ kind: 'cursor', path: names } as Pick] : [])];
}

/** How long the path of the innermost list of objects is that the place is, or lies in; an object alone counts as one record. */
function recordsAround(answer: unknown, path: JsonPath): number | null {
  for (let length = path.length; length >= 0; length--) {
    const value = valueAt(answer, path.slice(0, length));
    if (Array.isArray(value) && value.some(isObject)) return length;
  }
  return null;
}

function valueAt(value: unknown, path: JsonPath): unknown {
  return path.reduce<unknown>((node, key) => (typeof node === 'object' && node !== null ? (node as Record<string | number, unknown>)[key] : undefined), value);
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
