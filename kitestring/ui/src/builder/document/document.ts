/**
 * A manifest as a text with its tree. The text is the truth: values are read from it, and an edit is a splice of it, so
 * that comments, order, quotes and unknown keys stay.
 */
import { Edits } from './edit';
import { isObject, type Layout, layoutOf, Source } from './layout';
import { type Origin, Origins, type Path } from './origin';
import { reparsed } from './reparse';
import { type Splice, spliced } from './splice';
import { ABSENT, ALIAS, MAP, type Nodes, nodesOf, SCALAR, SEQ, type SyntaxProblem, Tree } from './tree';
import { equal, put, valueOf } from './value';

export type { Origin, Path, Step, Via } from './origin';
export { type Splice, spliced } from './splice';
export type { SyntaxProblem } from './tree';

/**
 * Where an edit of an inherited value goes: `local` writes it at its own path, where it overrides what is inherited
 * (a copy, as far as one is needed); `shared` writes it where it comes from, for all who read it.
 */
export type Where = 'local' | 'shared';

export interface EditOptions {
  where?: Where;
  /** The names of an object's fields in the order in which they should stand. */
  order?: readonly string[];
}

/** Parse a text. Never throws; `problems` says what is wrong with its syntax. */
export function parse(text: string): Doc {
  return new Doc(new Tree(text, nodesOf(text)));
}

export class Doc {
  readonly text: string;
  readonly problems: readonly SyntaxProblem[];
  private readonly origins: Origins;

  constructor(readonly tree: Tree) {
    this.text = tree.text;
    this.problems = tree.nodes.problems;
    this.origins = new Origins(tree);
  }

  /** A document of a text that was parsed elsewhere. */
  static of(text: string, nodes: Nodes): Doc {
    return new Doc(new Tree(text, nodes));
  }

  private habits: Layout | undefined;

  private get layout(): Layout {
    this.habits ??= layoutOf(this.tree);
    return this.habits;
  }

  private get edits(): Edits {
    return new Edits(this.tree, this.layout);
  }

  // -- reading -------------------------------------------------------------------------------------------------------

  /** The value at a path, with references, aliases, merges and parameters followed on the way; undefined without one.
   *  Inside the value, `$ref`s are left as they are. */
  get(path: Path): unknown {
    const origin = this.origins.find(path);
    return origin && valueOf(this.tree, this.origins.followed({ node: origin.node, steps: [], parameters: [] }).node);
  }

  has(path: Path): boolean {
    return this.origins.find(path) !== undefined;
  }

  /** What is written at a path itself; undefined where nothing is, or where it is inherited. */
  written(path: Path): unknown {
    const node = this.literal(path);
    return node === undefined ? undefined : valueOf(this.tree, node);
  }

  /** Where the value at a path is written, and what led there. */
  origin(path: Path): Origin | undefined {
    const origin = this.origins.find(path);
    if (!origin) return undefined;
    const { node, steps } = this.origins.followed({ node: origin.node, steps: origin.steps, parameters: [] });
    return { node, path: node === origin.node ? origin.path : this.tree.path(node), steps };
  }

  /** The streams and other parts that read what is written at the origin of a path; see `Origins.users`. */
  users(path: Path): Path[] {
    const origin = this.origin(path);
    return origin ? this.origins.users(origin.node) : [];
  }

  /** The names of an object's fields, inherited ones too, without `$ref` and merges. */
  keys(path: Path): string[] {
    const origin = this.origin(path);
    const names = new Set<string>();
    const visited = new Set<number>();
    const add = (node: number) => {
      node = this.origins.followed({ node, steps: [], parameters: [] }).node;
      if (visited.has(node)) return;
      visited.add(node);
      for (const [key] of this.tree.entries(node)) {
        const name = this.tree.content(key);
        if (name !== '$ref' && name !== '<<') names.add(name);
      }
      for (const source of this.origins.inherited(node)) add(source.node);
    };
    if (origin) add(origin.node);
    return [...names];
  }

  /** The number of a list's items; 0 for what is no list. */
  count(path: Path): number {
    const origin = this.origin(path);
    return origin && this.tree.kind(origin.node) === SEQ ? this.tree.children(origin.node).length : 0;
  }

  /** The offsets of what is written at a path, with its key; of the nearest part around it where nothing is. */
  range(path: Path): { from: number; to: number } {
    for (let length = path.length; length > 0; length--) {
      const node = this.origins.find(path.slice(0, length))?.node;
      if (node === undefined) continue;
      const parent = this.tree.parent(node);
      const entry = parent >= 0 ? this.tree.entries(parent).find(([, value]) => value === node) : undefined;
      return { from: entry ? this.tree.from(entry[0]) : this.tree.from(node), to: this.tree.to(node) };
    }
    return { from: 0, to: 0 };
  }

  /** The path of the innermost value at an offset. */
  pathAt(offset: number): Path {
    return this.tree.path(this.tree.nodeAt(offset));
  }

  /** The text of what is written at a path, as it stands there; undefined where nothing is. */
  source(path: Path): string | undefined {
    const node = this.literal(path);
    if (node === undefined || this.tree.style(node) === ABSENT) return undefined;
    const [from, to] = [this.tree.from(node), this.tree.to(node)];
    const kind = this.tree.kind(node);
    if (kind === SCALAR && this.tree.scalar(node) === null) return '';
    const lines = this.text.slice(from, to).split('\n');
    // A block begins at its own column; the other lines lose that indentation.
    const isBlock = (kind === MAP || kind === SEQ) && !this.tree.isFlow(node);
    const indent = isBlock ? from - (this.text.lastIndexOf('\n', from - 1) + 1) : 0;
    return lines.map((line, index) => (index === 0 ? line : line.slice(Math.min(indent, line.length - line.trimStart().length)))).join('\n');
  }

  // -- edits: splices of `text` --------------------------------------------------------------------------------------

  /** Make the value at a path be this one. `undefined` removes it. */
  set(path: Path, value: unknown, options: EditOptions = {}): Splice[] {
    if (value === undefined) return this.remove(path, options);
    const { where = 'local', order } = options;
    if (where === 'shared') path = this.sharedPath(path);
    let node = 0;
    for (const [depth, key] of path.entries()) {
      const child = this.child(node, key);
      if (child === undefined) return this.extend(node, path, depth, value, order);
      node = child;
    }
    return this.edits.replace(node, value);
  }

  /** Write YAML at a path, comments included. Throws `SyntaxError` where it is none. */
  setSource(path: Path, text: string, options: EditOptions = {}): Splice[] {
    const part = parse(text);
    const [problem] = part.problems;
    if (problem) throw new SyntaxError(problem.message);
    if (this.source(path) === text) return [];
    return this.set(path, text.trim() === '' ? undefined : new Source(text, part.get([])), options);
  }

  /** Remove a field or an item. What is inherited is overridden by null. */
  remove(path: Path, options: EditOptions = {}): Splice[] {
    if (options.where === 'shared') path = this.sharedPath(path);
    const key = path.at(-1);
    const node = this.literal(path);
    const parent = this.literal(path.slice(0, -1));
    if (key === undefined) return this.edits.replace(0, {});
    if (node === undefined || parent === undefined) {
      const value = this.get(path);
      return value === undefined || value === null ? [] : this.set(path, null, { ...options, where: 'local' });
    }
    if (this.tree.kind(parent) !== SEQ) return this.edits.removeField(parent, String(key));
    const removed = Number(key);
    return [...this.edits.removeItem(parent, removed), ...this.renumbered(path.slice(0, -1), (index) => (index > removed ? index - 1 : index), node)];
  }

  /** Put a value into a list before the item `index`; the list is made where it is missing. */
  insert(path: Path, index: number, value: unknown, options: EditOptions = {}): Splice[] {
    if (options.where === 'shared') path = this.sharedPath(path);
    const node = this.literal(path);
    if (node !== undefined && this.tree.kind(node) === SEQ && this.tree.end(node) > node + 1) {
      return [...this.edits.insertItems(node, index, [value]), ...this.renumbered(path, (item) => (item >= index ? item + 1 : item))];
    }
    const items = node === undefined || this.tree.kind(node) !== SCALAR || this.origins.referenced(node) !== undefined ? this.get(path) : undefined;
    const list = Array.isArray(items) ? [...items] : [];
    list.splice(index, 0, value);
    return this.set(path, list, { ...options, where: 'local' });
  }

  /** Move an item of a list to another index, with the comments above it. */
  move(path: Path, from: number, to: number, options: EditOptions = {}): Splice[] {
    if (options.where === 'shared') path = this.sharedPath(path);
    const node = this.literal(path);
    if (node !== undefined && this.tree.kind(node) === SEQ) {
      const places = Array.from({ length: this.tree.children(node).length }, (_, index) => index);
      places.splice(to, 0, ...places.splice(from, 1));
      const moves = this.edits.moveItem(node, from, to);
      if (moves.length === 0) return [];
      const renumbered = this.renumbered(path, (index) => (places.includes(index) ? places.indexOf(index) : index));
      return inText(this.text, moves, renumbered);
    }
    const items = this.get(path);
    if (!Array.isArray(items)) return [];
    const list = [...items];
    list.splice(to, 0, ...list.splice(from, 1));
    return this.set(path, list, { ...options, where: 'local' });
  }

  /** Give a field another name, and the references that lead through it. Nothing where the name is taken. */
  rename(path: Path, name: string): Splice[] {
    const node = this.literal(path);
    const parent = this.literal(path.slice(0, -1));
    if (node === undefined || parent === undefined || this.tree.kind(parent) !== MAP || this.tree.entry(parent, name)) return [];
    const [key] = this.tree.entry(parent, String(path.at(-1)))!;
    const old = `#/${path.join('/')}`;
    const splices = this.edits.renameField(key, name);
    for (let other = 0; other < this.tree.count; other++) {
      if (this.tree.kind(other) !== SCALAR) continue;
      const content = this.tree.content(other);
      if (content === old || content.startsWith(`${old}/`)) {
        splices.push(...this.edits.replace(other, `#/${[...path.slice(0, -1), name].join('/')}${content.slice(old.length)}`));
      }
    }
    return splices;
  }

  /** References to items of a list by their numbers, where the items get other numbers. `without`: a part that goes. */
  private renumbered(path: Path, numberOf: (index: number) => number, without?: number): Splice[] {
    const start = `#/${path.join('/')}/`;
    const splices: Splice[] = [];
    for (let node = 0; node < this.tree.count; node++) {
      if (without !== undefined && node >= without && node < this.tree.end(without)) continue;
      if (this.tree.kind(node) !== SCALAR) continue;
      const content = this.tree.content(node);
      const match = content.startsWith(start) ? /^(\d+)(.*)$/.exec(content.slice(start.length)) : null;
      if (match) splices.push(...this.edits.replace(node, `${start}${numberOf(Number(match[1]))}${match[2]}`));
    }
    return splices;
  }

  /** The document after splices. Undefined where the text has to be parsed whole, which takes longer. */
  spliced(splices: readonly Splice[], text = spliced(this.text, splices)): Doc | undefined {
    const tree = reparsed(this.tree, text, splices);
    return tree && (tree === this.tree ? this : new Doc(tree));
  }

  // ------------------------------------------------------------------------------------------------------------------

  /** The node that is written at a path itself. */
  private literal(path: Path): number | undefined {
    let node: number | undefined = 0;
    for (const key of path) {
      node = this.child(node, key);
      if (node === undefined) return undefined;
    }
    return node;
  }

  private child(node: number, key: string | number): number | undefined {
    return this.tree.kind(node) === SEQ ? this.tree.item(node, Number(key)) : this.tree.entry(node, String(key))?.[1];
  }

  /** The path where a value is written, or where a missing field of an inherited component belongs. */
  private sharedPath(path: Path): Path {
    for (let length = path.length; length > 0; length--) {
      const origin = this.origin(path.slice(0, length));
      if (origin) return [...origin.path, ...path.slice(length)];
    }
    return path;
  }

  /** Write a value below a node that does not have the rest of the path. */
  private extend(node: number, path: Path, depth: number, value: unknown, order?: readonly string[]): Splice[] {
    const { tree, edits } = this;
    const key = path[depth]!;
    const next = this.overridden(path, depth + 1, value);
    if (tree.kind(node) === MAP && typeof key === 'string') return edits.addField(node, key, next, order);
    if (tree.kind(node) === SEQ && typeof key === 'number') return edits.insertItems(node, tree.children(node).length, [next]);
    if (tree.kind(node) === ALIAS || this.origins.referenced(node) !== undefined) {
      const inherited = tree.kind(node) === ALIAS ? valueOf(tree, node) : { $ref: tree.content(node) };
      const target = this.get(path.slice(0, depth));
      if (Array.isArray(target)) {
        const list = [...target];
        list[Number(key)] = next;
        return edits.replace(node, list);
      }
      return edits.replace(node, { ...(isObject(inherited) ? inherited : {}), [key]: next });
    }
    return edits.replace(node, typeof key === 'number' ? [next] : { [key]: next });
  }

  /** What has to be written at `path[..length]` so that the value at `path` is this one: a copy of what is inherited. */
  private overridden(path: Path, length: number, value: unknown): unknown {
    if (length === path.length) return value;
    const key = path[length]!;
    const inherited = this.origins.find(path.slice(0, length));
    let current = inherited && valueOf(this.tree, inherited.node);
    if (inherited && this.origins.referenced(inherited.node) !== undefined) current = { $ref: current };
    const next = this.overridden(path, length + 1, value);
    if (typeof key === 'number') {
      const list = Array.isArray(current) ? [...current] : [];
      list[Math.min(key, list.length)] = next;
      return list;
    }
    const object: Record<string, unknown> = {};
    for (const [name, item] of Object.entries(isObject(current) ? current : {})) put(object, name, item);
    put(object, key, next);
    return object;
  }
}

/** Moves of parts, and changes within them: the changes go along with the part that is moved. */
function inText(text: string, moves: readonly Splice[], changes: readonly Splice[]): Splice[] {
  if (changes.length === 0) return [...moves];
  const removal = moves.find((move) => move.insert === '')!;
  const insertion = moves.find((move) => move.insert !== '')!;
  const within = changes.filter((change) => change.from >= removal.from && change.to <= removal.to);
  const block = text.slice(removal.from, removal.to);
  const changed = spliced(block, within.map(({ from, to, insert }) => ({ from: from - removal.from, to: to - removal.from, insert })));
  const insert = insertion.insert.replace(block.trimEnd(), () => changed.trimEnd());
  return [...changes.filter((change) => !within.includes(change)), removal, { ...insertion, insert }];
}

/** Whether two values are the same; see `value.ts`. */
export { equal };
