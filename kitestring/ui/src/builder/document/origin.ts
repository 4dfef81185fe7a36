/** Where a value is really written: behind `$ref`, aliases, merges and `$parameters`; and who else reads it there. */
import { ALIAS, MAP, PLAIN, SCALAR, SEQ, type Tree } from './tree';

export type Path = readonly (string | number)[];

/** How a value came to its place. */
export type Via = 'reference' | 'alias' | 'merge' | 'parameter';

export interface Step {
  via: Via;
  /** The path of what refers: the `$ref` text, the alias, the merge, or the component that a parameter fills. */
  at: Path;
}

/** Where a value is written. */
export interface Origin {
  node: number;
  path: Path;
  /** What led there, in its order; empty where the value is written at its own path. */
  steps: Step[];
}

const REF = '$ref';
const MERGE = '<<';
const PARAMETERS = '$parameters';
/** Values behind so many references are taken for circular. */
const MOST_STEPS = 100;

interface Cursor {
  node: number;
  steps: Step[];
  /** The `$parameters` objects that apply, the innermost last. */
  parameters: number[];
}

export class Origins {
  constructor(readonly tree: Tree) {}

  /** The origin of the value at a path; undefined where there is none. */
  find(path: Path): Origin | undefined {
    let cursor: Cursor | undefined = { node: 0, steps: [], parameters: [] };
    for (const key of path) {
      cursor = this.step(cursor, key);
      if (!cursor) return undefined;
    }
    return { node: cursor.node, path: this.tree.path(cursor.node), steps: cursor.steps };
  }

  /** What a node stands for: aliases and references followed, but not a `$ref` with other fields beside it. */
  followed(cursor: Cursor): Cursor {
    const { tree } = this;
    let { node, steps } = cursor;
    for (let count = 0; count < MOST_STEPS; count++) {
      const target = tree.kind(node) === ALIAS ? tree.target(node) : (this.referenced(node) ?? this.bareReference(node));
      if (target === undefined) break;
      steps = [...steps, { via: tree.kind(node) === ALIAS ? 'alias' : 'reference', at: tree.path(node) }];
      node = target;
    }
    return { ...cursor, node, steps };
  }

  /** The target of an object that is only a `$ref`. */
  private bareReference(node: number): number | undefined {
    const { tree } = this;
    const entry = tree.kind(node) === MAP ? tree.entry(node, REF) : undefined;
    return entry && tree.end(entry[1]) === tree.end(node) && entry[0] === node + 1 ? this.referenced(entry[1]) : undefined;
  }

  private step(from: Cursor, key: string | number): Cursor | undefined {
    const cursor = this.followed(from);
    if (this.tree.kind(cursor.node) === SEQ) {
      const node = typeof key === 'number' ? this.tree.item(cursor.node, key) : undefined;
      return node === undefined ? undefined : { ...cursor, node };
    }
    const scope = this.scope(cursor);
    const written = this.member(scope, String(key));
    if (written && !this.isBlank(written.node)) return written;
    return this.parameter(scope, String(key)) ?? written;
  }

  /** The value of a key in an object, in what it merges, or in what it refers to. */
  private member(cursor: Cursor, name: string, depth = 0): Cursor | undefined {
    const { tree } = this;
    if (depth > MOST_STEPS) return undefined;
    const entry = tree.entry(cursor.node, name);
    if (entry) return { ...cursor, node: entry[1] };
    for (const { node, via, at } of this.inherited(cursor.node)) {
      const target = this.followed({ ...cursor, node, steps: [...cursor.steps, { via, at }] });
      const value = this.member(target, name, depth + 1);
      if (value) return value;
    }
    return undefined;
  }

  /** The objects that an object takes further fields from, the first one counts. */
  inherited(node: number): { node: number; via: Via; at: Path }[] {
    const { tree } = this;
    const objects: { node: number; via: Via; at: Path }[] = [];
    for (const [key, value] of tree.entries(node)) {
      if (tree.kind(key) !== SCALAR) continue;
      const name = tree.content(key);
      if (name === MERGE && tree.style(key) === PLAIN) {
        const sources = tree.kind(value) === SEQ ? tree.children(value) : [value];
        for (const source of sources) objects.push({ node: source, via: 'merge', at: tree.path(source) });
      } else if (name === REF) {
        const target = this.referenced(value);
        if (target !== undefined) objects.push({ node: target, via: 'reference', at: tree.path(value) });
      }
    }
    // PyYAML merges while it reads, references come later.
    return objects.sort((a, b) => Number(a.via === 'reference') - Number(b.via === 'reference'));
  }

  /** The target of a text such as `#/definitions/stream`. */
  referenced(node: number): number | undefined {
    const { tree } = this;
    if (tree.kind(node) !== SCALAR) return undefined;
    const content = tree.content(node);
    return content.startsWith('#/') ? this.pointer(content) : undefined;
  }

  private pointers = new Map<string, number | undefined>();

  /** The node that a reference names. A key may contain slashes: the whole rest is tried before its first part. */
  pointer(reference: string): number | undefined {
    if (this.pointers.has(reference)) return this.pointers.get(reference);
    const { tree } = this;
    let node: number | undefined = 0;
    let rest = reference.slice(2);
    while (rest && node !== undefined) {
      node = this.aliased(node);
      const whole: [number, number] | undefined = tree.entry(node, rest);
      if (whole) {
        node = whole[1];
        break;
      }
      const [head] = rest.split('/', 1) as [string];
      rest = rest.slice(head.length + 1);
      node = tree.kind(node) === SEQ ? (/^\d+$/.test(head) ? tree.item(node, Number(head)) : undefined) : tree.entry(node, head)?.[1];
    }
    this.pointers.set(reference, node);
    return node;
  }

  private aliased(node: number): number {
    for (let count = 0; this.tree.kind(node) === ALIAS && count < MOST_STEPS; count++) {
      const target = this.tree.target(node);
      if (target === undefined) break;
      node = target;
    }
    return node;
  }

  /** With the component's own `$parameters`. */
  private scope(cursor: Cursor): Cursor {
    const own = this.member(cursor, PARAMETERS);
    const object = own && this.followed(own).node;
    return object === undefined || this.tree.kind(object) !== MAP ? cursor : { ...cursor, parameters: [...cursor.parameters, object] };
  }

  /** The parameter that fills a missing field of a component. */
  private parameter(cursor: Cursor, name: string): Cursor | undefined {
    if (name === 'type' || name.startsWith('$') || cursor.parameters.length === 0 || !this.isComponent(cursor.node)) return undefined;
    for (const object of [...cursor.parameters].reverse()) {
      const entry = this.tree.entry(object, name);
      if (entry) {
        return { ...cursor, node: entry[1], steps: [...cursor.steps, { via: 'parameter', at: this.tree.path(cursor.node) }] };
      }
    }
    return undefined;
  }

  private isComponent(node: number): boolean {
    const type = this.member({ node, steps: [], parameters: [] }, 'type');
    return type === undefined || (this.tree.kind(type.node) === SCALAR && /^[A-Z]/.test(this.tree.content(type.node)));
  }

  private isBlank(node: number): boolean {
    const { tree } = this;
    if (tree.kind(node) === SCALAR) {
      const value = tree.scalar(node);
      return value === null || value === '' || value === false || value === 0;
    }
    return (tree.kind(node) === MAP || tree.kind(node) === SEQ) && tree.end(node) === node + 1;
  }

  private links: { node: number; target: number }[] | undefined;

  /** Every reference and alias of the document with its target. */
  private allLinks(): { node: number; target: number }[] {
    if (!this.links) {
      this.links = [];
      for (let node = 0; node < this.tree.count; node++) {
        const target = this.tree.kind(node) === ALIAS ? this.tree.target(node) : this.referenced(node);
        if (target !== undefined && target !== node) this.links.push({ node, target });
      }
    }
    return this.links;
  }

  /**
   * The places that read what is written at a node: the streams, or else the top-level parts, to which references lead
   * from it, however many definitions lie between; and its own place where that is no definition.
   */
  users(node: number): Path[] {
    const { tree } = this;
    const places = new Map<string, Path>();
    const seen = new Set<number>();
    const queue = [node];
    for (let current = queue.pop(); current !== undefined; current = queue.pop()) {
      if (seen.has(current)) continue;
      seen.add(current);
      const path = tree.path(current);
      if (path[0] !== 'definitions' && path[0] !== 'schemas') {
        const place = path[0] === 'streams' || path[0] === 'dynamic_streams' ? path.slice(0, 2) : path.slice(0, 1);
        places.set(JSON.stringify(place), place);
      }
      for (const link of this.allLinks()) if (this.overlaps(link.target, current)) queue.push(link.node);
    }
    return [...places.values()];
  }

  /** Whether one of two nodes is the other, or below it. */
  private overlaps(first: number, second: number): boolean {
    const { tree } = this;
    return (first <= second && second < tree.end(first)) || (second <= first && first < tree.end(second));
  }
}
