/** Which fields of a stream are copied. A chosen path takes all that is below it; no choice at all takes everything. */
import type { FieldRead } from '../api/schema.gen';
import type { StreamConfig } from './streams';

export interface FieldNode {
  name: string;
  path: string[];
  field: FieldRead;
  children: FieldNode[];
}

/** The fields as a tree. They come with an object before its own fields. */
export function treeOf(fields: FieldRead[]): FieldNode[] {
  const roots: FieldNode[] = [];
  const nodes = new Map<string, FieldNode>();
  for (const field of fields) {
    const node = { name: field.path.at(-1) ?? '', path: field.path, field, children: [] };
    nodes.set(idOf(field.path), node);
    (nodes.get(idOf(field.path.slice(0, -1)))?.children ?? roots).push(node);
  }
  return roots;
}

export const idOf = (path: readonly string[]) => JSON.stringify(path);
export const textOf = (path: readonly string[]) => path.join('.');

const begins = (path: readonly string[], start: readonly string[]) =>
  start.length <= path.length && start.every((name, n) => name === path[n]);

export type Selected = 'all' | 'some' | 'none';

/** Whether a field is copied: whole, in part, or not. */
export function selectedPart(config: StreamConfig, path: readonly string[]): Selected {
  if (!config.selectedFields) return 'all';
  if (config.selectedFields.some((field) => begins(path, field.fieldPath))) return 'all';
  return config.selectedFields.some((field) => begins(field.fieldPath, path)) ? 'some' : 'none';
}

/** The configuration with a field, and all that is below it, copied or left out. */
export function withField(config: StreamConfig, tree: FieldNode[], path: readonly string[], on: boolean): StreamConfig {
  const chosen: string[][] = [];
  const visit = (nodes: FieldNode[]) => {
    for (const node of nodes) {
      const inside = begins(node.path, path);
      const part = inside ? (on ? 'all' : 'none') : selectedPart(config, node.path);
      // A parent of the changed field is no longer what it was: ask its children.
      if (begins(path, node.path) && !inside) visit(node.children);
      else if (part === 'all') chosen.push(node.path);
      else if (part === 'some') visit(node.children);
    }
  };
  visit(tree);
  return withFields(config, tree, chosen);
}

/** The configuration with exactly these fields. Where these are all, none is named: new ones come along. */
export function withFields(config: StreamConfig, tree: FieldNode[], paths: string[][]): StreamConfig {
  const next = { ...config };
  const whole = merged(tree, new Set(paths.map(idOf)));
  if (tree.every((node) => whole.some((path) => idOf(path) === idOf(node.path)))) delete next.selectedFields;
  else next.selectedFields = whole.map((fieldPath) => ({ fieldPath }));
  return next;
}

/** Paths, with an object named once where all its fields are chosen. */
function merged(nodes: FieldNode[], chosen: Set<string>): string[][] {
  return nodes.flatMap((node) => {
    if (chosen.has(idOf(node.path))) return [node.path];
    const inner = merged(node.children, chosen);
    const all = node.children.length > 0 && node.children.every((child) => inner.some((path) => idOf(path) === idOf(child.path)));
    return all ? [node.path] : inner;
  });
}

/** The nodes whose path has all the words, with their parents. */
export function matching(nodes: FieldNode[], words: string[]): FieldNode[] {
  if (words.length === 0) return nodes;
  return nodes.flatMap((node) => {
    const text = textOf(node.path).toLowerCase();
    if (words.every((word) => text.includes(word))) return [node];
    const children = matching(node.children, words);
    return children.length ? [{ ...node, children }] : [];
  });
}

/** The value at a path in a record; undefined where there is none. */
export function valueAt(record: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, name) => (value && typeof value === 'object' ? (value as Record<string, unknown>)[name] : undefined), record);
}
