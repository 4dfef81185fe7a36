/** Plain values of a tree. */
import { ALIAS, MAP, PLAIN, SCALAR, SEQ, type Tree } from './tree';

/** Values that are read at most, aliases expanded: a text of aliases of aliases has no end. */
const MOST_VALUES = 300_000;

/** The value of a node: aliases and merges applied, references left as they are. Circular aliases are null. */
export function valueOf(tree: Tree, node: number): unknown {
  return new Reader(tree).value(node);
}

class Reader {
  private count = 0;
  private open = new Set<number>();
  private done = new Map<number, unknown>();

  constructor(readonly tree: Tree) {}

  value(node: number): unknown {
    const { tree } = this;
    if (++this.count > MOST_VALUES) return null;
    if (tree.kind(node) === SCALAR) return tree.scalar(node);
    if (tree.kind(node) === ALIAS) {
      const target = tree.target(node);
      if (target === undefined || this.open.has(target)) return null;
      if (!this.done.has(target)) this.done.set(target, this.value(target));
      return this.done.get(target);
    }
    this.open.add(node);
    const value = tree.kind(node) === SEQ ? tree.children(node).map((child) => this.value(child)) : this.object(node);
    this.open.delete(node);
    return value;
  }

  private object(node: number): Record<string, unknown> {
    const { tree } = this;
    const own: Record<string, unknown> = {};
    const merged: Record<string, unknown>[] = [];
    for (const [key, value] of tree.entries(node)) {
      const name = tree.kind(key) === SCALAR ? tree.content(key) : JSON.stringify(this.value(key));
      if (name === '<<' && tree.kind(key) === SCALAR && tree.style(key) === PLAIN) {
        const sources = this.value(value);
        for (const source of Array.isArray(sources) ? sources : [sources]) if (isPlainObject(source)) merged.push(source);
      } else put(own, name, this.value(value));
    }
    if (merged.length === 0 || tree.kind(node) !== MAP) return own;
    const result: Record<string, unknown> = {};
    for (const source of merged.reverse()) for (const [name, value] of Object.entries(source)) put(result, name, value);
    for (const [name, value] of Object.entries(own)) put(result, name, value);
    return result;
  }
}

const isPlainObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Like an assignment, for every name: `__proto__` is one too. */
export function put(object: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}

/** Whether two plain values are the same, whatever the order of their fields. */
export function equal(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && equal((a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name]))
  );
}
