/** Values that a user has changed, laid over what somebody else saved meanwhile. */

type Fields = Record<string, unknown>;

export interface Rebased<T> {
  value: T;
  /** The paths that both changed, to different values: the user's stay. */
  collisions: string[];
}

/** The changes from `base` to `mine`, made to `saved`. Objects are compared by field, everything else as a whole. */
export function rebase<T>(base: T, mine: T, saved: T): Rebased<T> {
  const collisions: string[] = [];
  return { value: merge(base, mine, saved, '', collisions) as T, collisions };
}

function merge(base: unknown, mine: unknown, saved: unknown, path: string, collisions: string[]): unknown {
  if (same(base, mine)) return saved;
  if (same(base, saved) || same(mine, saved)) return mine;
  if (!isFields(base) || !isFields(mine) || !isFields(saved)) {
    collisions.push(path);
    return mine;
  }
  const merged: Fields = {};
  for (const name of new Set([...Object.keys(saved), ...Object.keys(mine)])) {
    const value = merge(base[name], mine[name], saved[name], path ? `${path}.${name}` : name, collisions);
    if (value !== undefined) merged[name] = value;
  }
  return merged;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Equal values; the order of an object's fields does not matter. */
export function same(left: unknown, right: unknown): boolean {
  if (Object.is(left, right)) return true;
  if (Array.isArray(left) && Array.isArray(right)) return left.length === right.length && left.every((item, n) => same(item, right[n]));
  if (!isFields(left) || !isFields(right)) return false;
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...names].every((name) => same(left[name], right[name]));
}
