/**
 * The syntax tree of a YAML text as one array of numbers: it goes from a worker to the page without being copied, and a
 * changed part is replaced without reading the rest. Scalars are read from the text when they are asked for.
 */
import { Alias, isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml';

import { t } from '../../text';
import { plainValue, type Plain } from './scalar';

/** The numbers of a node, in their order. Nodes stand in the order of the text: a node, then what is below it. */
export const STRIDE = 9;
const KIND = 0;
const STYLE = 1;
const FROM = 2;
const TO = 3;
const PARENT = 4;
const END = 5;
const TEXT = 6;
const ANCHOR = 7;
const TAG = 8;

export const SCALAR = 0;
export const MAP = 1;
export const SEQ = 2;
export const ALIAS = 3;

export const PLAIN = 0;
export const SINGLE = 1;
export const DOUBLE = 2;
export const LITERAL = 3;
export const FOLDED = 4;
export const FLOW = 5;
/** A value that is not there, not even its colon: `{key}`. */
export const ABSENT = 6;

const STYLES: Record<string, number> = { PLAIN, QUOTE_SINGLE: SINGLE, QUOTE_DOUBLE: DOUBLE, BLOCK_LITERAL: LITERAL, BLOCK_FOLDED: FOLDED };

/** An error of syntax, by offsets in the text. */
export interface SyntaxProblem {
  from: number;
  to: number;
  message: string;
}

/** What a parse gives: plain data that can be posted between threads. */
export interface Nodes {
  numbers: Int32Array;
  /** Texts of scalars that are not written as they are, anchors and tags. */
  strings: string[];
  problems: SyntaxProblem[];
}

/** Parse a text. Never throws: what cannot be parsed is a problem, and the tree is then what could be read. */
export function nodesOf(text: string): Nodes {
  try {
    const parsed = parseDocument(text, { schema: 'failsafe', uniqueKeys: false, prettyErrors: false, logLevel: 'silent', stringKeys: false });
    const problems = parsed.errors.map((error) => ({
      from: Math.min(error.pos[0], text.length),
      to: Math.min(Math.max(error.pos[1], error.pos[0]), text.length),
      message: error.message,
    }));
    return { ...new Writer(text).write(parsed.contents), problems };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { ...new Writer(text).write(null), problems: [{ from: 0, to: 0, message: t('The text is nested too deeply') }] };
  }
}

class Writer {
  numbers: number[] = [];
  strings: string[] = [];

  constructor(readonly text: string) {}

  write(root: unknown): Pick<Nodes, 'numbers' | 'strings'> {
    this.node(root, -1, this.text.length);
    return { numbers: Int32Array.from(this.numbers), strings: this.strings };
  }

  string(value: string | undefined | null): number {
    return value === undefined || value === null ? -1 : this.strings.push(value) - 1;
  }

  /** Adds a node and those below it; the offset where its content ends. */
  node(node: unknown, parent: number, place: number): number {
    const index = this.numbers.length / STRIDE;
    const range = (node as { range?: [number, number, number] } | null)?.range ?? [place, place, place];
    let kind = SCALAR;
    let style = PLAIN;
    let value = -1;
    if (isMap(node) || isSeq(node)) {
      kind = isMap(node) ? MAP : SEQ;
      style = node.flow ? FLOW : PLAIN;
    } else if (isAlias(node)) {
      kind = ALIAS;
      value = this.string((node as Alias).source);
    } else if (isScalar(node)) {
      style = STYLES[node.type ?? 'PLAIN'] ?? PLAIN;
      const content = String(node.value ?? '');
      if (style !== PLAIN || this.text.slice(range[0], range[1]) !== content) value = this.string(content);
    } else style = ABSENT;
    const { anchor, tag } = (node ?? {}) as { anchor?: string; tag?: string };
    this.numbers.push(kind, style, range[0], range[1], parent, 0, value, this.string(anchor), this.string(tag));
    let end = range[1];
    if (isMap(node)) {
      for (const { key, value: item } of node.items) {
        const keyEnd = this.node(key, index, place);
        const valueEnd = this.node(item, index, keyEnd);
        if (style !== FLOW) end = valueEnd;
      }
    } else if (isSeq(node)) {
      for (const item of node.items) {
        const itemEnd = this.node(item, index, range[1]);
        if (style !== FLOW) end = itemEnd;
      }
    }
    this.numbers[index * STRIDE + TO] = end;
    this.numbers[index * STRIDE + END] = this.numbers.length / STRIDE;
    return end;
  }
}

/** A tree and its text. Nodes are known by their numbers; the root is node 0. */
export class Tree {
  readonly count: number;

  constructor(
    readonly text: string,
    readonly nodes: Nodes,
  ) {
    this.count = nodes.numbers.length / STRIDE;
  }

  private at(node: number, field: number): number {
    return this.nodes.numbers[node * STRIDE + field]!;
  }

  kind(node: number): number {
    return this.at(node, KIND);
  }

  style(node: number): number {
    return this.at(node, STYLE);
  }

  /** Where the value begins, behind its anchor and tag. */
  from(node: number): number {
    return this.at(node, FROM);
  }

  /** Where the content ends; behind the line's end for a block scalar. */
  to(node: number): number {
    return this.at(node, TO);
  }

  parent(node: number): number {
    return this.at(node, PARENT);
  }

  /** The node behind all that is below this one. */
  end(node: number): number {
    return this.at(node, END);
  }

  anchor(node: number): string | undefined {
    return this.nodes.strings[this.at(node, ANCHOR)];
  }

  tag(node: number): string | undefined {
    return this.nodes.strings[this.at(node, TAG)];
  }

  isFlow(node: number): boolean {
    return this.style(node) === FLOW;
  }

  /** The text of a scalar, or the name of an alias. */
  content(node: number): string {
    const string = this.at(node, TEXT);
    return string >= 0 ? this.nodes.strings[string]! : this.text.slice(this.from(node), this.to(node));
  }

  /** The value of a scalar, as the server reads it. */
  scalar(node: number): Plain {
    if (this.style(node) === ABSENT) return null;
    const content = this.content(node);
    return this.style(node) === PLAIN && this.tag(node) === undefined ? plainValue(content) : content;
  }

  /** The items of a list; the keys and values of an object by turns. */
  children(node: number): number[] {
    const children = [];
    if (this.kind(node) === MAP || this.kind(node) === SEQ) for (let child = node + 1; child < this.end(node); child = this.end(child)) children.push(child);
    return children;
  }

  /** The keys and values of an object. */
  entries(node: number): [key: number, value: number][] {
    const children = this.kind(node) === MAP ? this.children(node) : [];
    return Array.from({ length: children.length / 2 }, (_, index) => [children[2 * index]!, children[2 * index + 1]!]);
  }

  /** The entry of a key that is written in this object; the last one where it stands twice, as the server reads it. */
  entry(node: number, name: string): [key: number, value: number] | undefined {
    if (this.kind(node) !== MAP) return undefined;
    let entry: [number, number] | undefined;
    for (let key = node + 1; key < this.end(node); ) {
      const value = this.end(key);
      if (this.kind(key) === SCALAR && this.content(key) === name) entry = [key, value];
      key = this.end(value);
    }
    return entry;
  }

  /** The node of an item of a list. */
  item(node: number, index: number): number | undefined {
    if (this.kind(node) !== SEQ) return undefined;
    let child = node + 1;
    for (let before = 0; before < index && child < this.end(node); before++) child = this.end(child);
    return index >= 0 && child < this.end(node) ? child : undefined;
  }

  /** The keys and indices that lead to a node. */
  path(node: number): (string | number)[] {
    const path: (string | number)[] = [];
    for (let child = node; this.parent(child) >= 0; child = this.parent(child)) {
      const parent = this.parent(child);
      const children = this.children(parent);
      const index = children.indexOf(child);
      if (this.kind(parent) === SEQ) path.push(index);
      else path.push(this.content(children[index - (index % 2)]!));
    }
    return path.reverse();
  }

  /** The innermost node that spans an offset. */
  nodeAt(offset: number): number {
    let node = 0;
    for (;;) {
      const inner = this.children(node).find((child) => this.from(child) <= offset && offset <= this.to(child));
      if (inner === undefined) return node;
      node = inner;
    }
  }

  private anchors: Map<string, number[]> | undefined;

  /** The node that an alias stands for: the last one with its anchor before it. */
  target(alias: number): number | undefined {
    if (!this.anchors) {
      this.anchors = new Map();
      for (let node = 0; node < this.count; node++) {
        const anchor = this.anchor(node);
        if (anchor !== undefined) this.anchors.set(anchor, [...(this.anchors.get(anchor) ?? []), node]);
      }
    }
    return this.anchors.get(this.content(alias))?.findLast((node) => node < alias && this.end(node) <= alias);
  }

  /** The tree of a text in which one node's part has been replaced by the nodes of `part`; see `reparse`. */
  replaced(text: string, first: number, last: number, part: Nodes, partFirst: number, partLast: number, partFrom: number, shift: number): Tree {
    const old = this.nodes.numbers;
    const added = partLast - partFirst;
    const growth = added - (last - first);
    const numbers = new Int32Array(old.length + growth * STRIDE);
    numbers.set(old.subarray(0, first * STRIDE));
    numbers.set(part.numbers.subarray(partFirst * STRIDE, partLast * STRIDE), first * STRIDE);
    numbers.set(old.subarray(last * STRIDE), (first + added) * STRIDE);
    const parent = this.parent(first);
    const strings = this.nodes.strings.length;
    for (let node = first; node < first + added; node++) {
      const at = node * STRIDE;
      numbers[at + FROM]! += partFrom;
      numbers[at + TO]! += partFrom;
      numbers[at + END]! += first - partFirst;
      numbers[at + PARENT] = numbers[at + PARENT]! < partFirst ? parent : numbers[at + PARENT]! + first - partFirst;
      for (const field of [TEXT, ANCHOR, TAG]) if (numbers[at + field]! >= 0) numbers[at + field]! += strings;
    }
    for (let at = (first + added) * STRIDE; at < numbers.length; at += STRIDE) {
      numbers[at + FROM]! += shift;
      numbers[at + TO]! += shift;
      numbers[at + END]! += growth;
      if (numbers[at + PARENT]! >= last) numbers[at + PARENT]! += growth;
    }
    for (let node = parent; node >= 0; node = old[node * STRIDE + PARENT]!) {
      const at = node * STRIDE;
      numbers[at + END]! += growth;
      // A block ends where its last node does.
      let child = node + 1;
      for (; numbers[child * STRIDE + END]! < numbers[at + END]!; ) child = numbers[child * STRIDE + END]!;
      numbers[at + TO] = numbers[child * STRIDE + TO]!;
    }
    return new Tree(text, { numbers, strings: [...this.nodes.strings, ...part.strings], problems: [] });
  }
}
