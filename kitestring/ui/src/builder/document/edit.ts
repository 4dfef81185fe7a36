/** Edits of a document as splices of its text. What an edit does not concern keeps its form, its order and its comments. */
import {
  column,
  isObject,
  type Layout,
  lineStart,
  Source,
  writeBelowKey,
  writeBlock,
  writeFlow,
  writeItem,
  writeKey,
  writeLiteral,
} from './layout';
import { fitsLiteral, type Plain, writeScalar } from './scalar';
import { type Splice, spliced, trimmed } from './splice';
import { ABSENT, DOUBLE, FOLDED, LITERAL, MAP, PLAIN, SCALAR, SEQ, SINGLE, type Tree } from './tree';
import { equal, valueOf } from './value';

export class Edits {
  constructor(
    readonly tree: Tree,
    readonly layout: Layout,
  ) {}

  private get text(): string {
    return this.tree.text;
  }

  /** Make a node have a value. */
  replace(node: number, value: unknown): Splice[] {
    const { tree } = this;
    if (value instanceof Source) return this.rewrite(node, value);
    if (equal(valueOf(tree, node), value)) return [];
    if (tree.kind(node) === MAP && isObject(value) && Object.keys(value).length > 0) {
      const splices = this.fields(node, value);
      if (splices) return splices;
    }
    if (tree.kind(node) === SEQ && Array.isArray(value) && value.length > 0) return this.items(node, value);
    return this.rewrite(node, value);
  }

  /** Replace the text of a node. */
  private rewrite(node: number, value: unknown): Splice[] {
    const { tree, layout, text } = this;
    const parent = tree.parent(node);
    const [from, to] = this.span(node);
    if (this.insideFlow(node)) {
      const colon = tree.style(node) === ABSENT ? ': ' : text[from - 1] === ':' ? ' ' : '';
      return trimmed(text, { from, to, insert: colon + this.inFlow(node, value) });
    }
    if (parent < 0) {
      const insert = value instanceof Source || (typeof value === 'object' && value !== null && !isEmpty(value)) ? writeBlock(value, 0, layout) : writeFlow(value, layout);
      return trimmed(text, { from, to, insert: tree.style(node) === ABSENT ? insert + layout.newline : this.withEnd(to, insert) });
    }
    if ((value === null || typeof value !== 'object') && tree.kind(node) === SCALAR && tree.style(node) !== ABSENT && from < to) {
      const insert = this.likeScalar(node, value as Plain);
      // A tag would give the new value another meaning.
      const start = this.tagStart(node, value);
      return this.line(start, to, insert);
    }
    const at = this.behindMark(node);
    if (tree.kind(parent) === SEQ) {
      const indent = this.itemColumn(node, at);
      const mark = /[\s]$/.test(text.slice(0, at)) ? '' : ' ';
      return this.line(at, to, mark + writeItem(value, indent, layout));
    }
    const insert = writeBelowKey(value, this.keyColumn(node), layout);
    return this.line(at, to, this.remarkKept(at, from, insert));
  }

  /** Write a value that is, or begins, in one line; a comment behind it stays behind its first line. */
  private line(from: number, to: number, insert: string): Splice[] {
    const { text } = this;
    const rest = /^[ \t]+#[^\r\n]*/.exec(text.slice(to))?.[0] ?? '';
    const [first] = insert.split(/\r?\n/, 1) as [string];
    if (!rest || first === insert) return trimmed(text, { from, to, insert: this.withEnd(to, insert) });
    const end = to + rest.length;
    return trimmed(text, { from, to: end, insert: this.withEnd(end, first + rest + insert.slice(first.length)) });
  }

  /** Keep the comment that stands behind `key:` where the value below it is replaced. */
  private remarkKept(at: number, from: number, insert: string): string {
    const between = this.text.slice(at, from);
    const remark = /^[ \t]+#[^\r\n]*/.exec(between)?.[0] ?? '';
    if (!remark) return insert;
    return /^\r?\n/.test(insert) ? remark + insert : insert.includes('\n') ? insert : insert + remark;
  }

  /** The offset behind the colon of the key or the dash of the item, and behind an anchor. */
  private behindMark(node: number): number {
    const { tree, text } = this;
    const parent = tree.parent(node);
    const anchor = tree.anchor(node);
    const from = tree.from(node);
    if (anchor !== undefined) {
      const at = text.lastIndexOf(`&${anchor}`, from);
      if (at >= 0) return at + anchor.length + 1;
    }
    if (tree.kind(parent) === MAP) {
      const key = this.keyOf(node);
      const colon = text.indexOf(':', tree.to(key));
      return colon >= 0 && colon < Math.max(from, tree.to(key) + 1) ? colon + 1 : from;
    }
    const start = lineStart(text, from);
    const dash = text.slice(start, from).lastIndexOf('-');
    if (dash >= 0) {
      const behind = start + dash + 1;
      return behind + (/^[ \t]+/.exec(text.slice(behind, from))?.[0].length ?? 0);
    }
    return from;
  }

  private tagStart(node: number, value: unknown): number {
    const { tree, text } = this;
    const tag = tree.tag(node);
    const from = tree.from(node);
    if (tag === undefined || (tag.endsWith(':str') && typeof value === 'string')) return from;
    const mark = /![^\s]*[ \t]+$/.exec(text.slice(0, from));
    return mark ? mark.index : from;
  }

  /** A scalar in the style of the one it replaces. */
  private likeScalar(node: number, value: Plain): string {
    const { tree, layout, text } = this;
    const style = tree.style(node);
    const block = style === LITERAL || style === FOLDED;
    if (typeof value === 'string' && (block || value.includes('\n'))) {
      const head = block ? (/^[|>][-+0-9]*([ \t]+#[^\r\n]*)?/.exec(text.slice(tree.from(node)))?.[1] ?? '') : '';
      const indent = this.blockIndent(node);
      if (style === FOLDED && !value.slice(0, -1).includes('\n') && fitsLiteral(value)) {
        return writeLiteral(value, indent, layout, head).replace('|', '>');
      }
      if (fitsLiteral(value)) return writeLiteral(value, indent, layout, head);
    }
    const quote = style === SINGLE ? 'single' : style === DOUBLE || layout.json ? 'double' : undefined;
    return writeScalar(value, { quote, preferred: layout.quote });
  }

  /** The column of the lines of a block scalar at this node. */
  private blockIndent(node: number): number {
    const { tree, layout, text } = this;
    if (tree.style(node) === LITERAL || tree.style(node) === FOLDED) {
      const lines = text.slice(tree.from(node), tree.to(node)).split('\n').slice(1);
      const first = lines.find((line) => line.trim() !== '');
      if (first !== undefined && !/^[|>]\d|^[|>][-+]\d/.test(text.slice(tree.from(node)))) return first.length - first.trimStart().length;
    }
    return tree.kind(tree.parent(node)) === MAP ? this.keyColumn(node) + layout.step : column(text, this.dashOf(node)) + 2;
  }

  private inFlow(node: number, value: unknown): string {
    const { tree, layout } = this;
    if (typeof value === 'object' && value !== null) return writeFlow(value, layout);
    const style = tree.kind(node) === SCALAR ? tree.style(node) : PLAIN;
    const quote = style === SINGLE ? 'single' : style === DOUBLE || layout.json ? 'double' : undefined;
    return writeScalar((value ?? null) as Plain, { flow: true, quote, preferred: layout.quote });
  }

  /** The changes that give an object these fields; nothing where only a replacement of the whole does. */
  private fields(node: number, value: Record<string, unknown>): Splice[] | undefined {
    const { tree, layout } = this;
    const own = new Map<string, [number, number]>();
    for (const entry of tree.entries(node)) {
      const name = tree.content(entry[0]);
      if (own.has(name)) return undefined;
      own.set(name, entry);
    }
    const current = valueOf(tree, node) as Record<string, unknown>;
    const removed: string[] = [];
    const changed: [number, unknown][] = [];
    for (const [name, [key, item]] of own) {
      if (name === '<<' && tree.style(key) === PLAIN) continue;
      if (!Object.hasOwn(value, name)) removed.push(name);
      else changed.push([item, value[name]]);
    }
    // What is merged cannot be taken away beside the merge.
    if (Object.keys(current).some((name) => !own.has(name) && !Object.hasOwn(value, name))) return undefined;
    const added = Object.entries(value).filter(([name, item]) => !own.has(name) && !(Object.hasOwn(current, name) && equal(current[name], item)));
    if (removed.length === own.size) return undefined;
    if (tree.isFlow(node)) {
      if (own.size === 0 && !this.staysFlow(node)) return undefined;
      if (removed.length === 0 && added.length === 0) return changed.flatMap(([item, next]) => this.replace(item, next));
      const kept = [...own].filter(([name]) => !removed.includes(name));
      const parts = kept.map(([name, [key, item]]) => this.partial(tree.from(key), tree.to(item), Object.hasOwn(value, name) ? this.replace(item, value[name]) : []));
      return this.joined(node, [...parts, ...added.map(([name, item]) => `${writeKey(name, layout, true)}: ${writeFlow(item, layout)}`)]);
    }
    const splices = changed.flatMap(([item, next]) => this.replace(item, next));
    splices.push(...this.removals(node, removed));
    if (added.length > 0) splices.push(...this.additions(node, added));
    return splices;
  }

  /** Remove entries of an object in block style, not all of them. */
  removals(node: number, names: readonly string[]): Splice[] {
    const { tree, text } = this;
    const entries = tree.entries(node);
    const isRemoved = ([key]: [number, number]) => names.includes(tree.content(key));
    const splices: Splice[] = [];
    let first = 0;
    const start = tree.from(entries[0]![0]);
    if (text.slice(lineStart(text, start), start).trim() !== '') {
      // The first entry shares its line with the dash of a list.
      while (isRemoved(entries[first]!)) first++;
      if (first > 0) {
        const next = tree.from(entries[first]![0]);
        const between = text.slice(this.lineEnd(entries[first - 1]![1]), next);
        if (between.trim() === '') splices.push({ from: start, to: next, insert: '' });
        else {
          const dash = text.slice(0, start).trimEnd().length;
          splices.push({ from: dash, to: next, insert: this.layout.newline + between });
        }
      }
    }
    for (const entry of entries.slice(first)) {
      if (isRemoved(entry)) splices.push({ from: lineStart(text, tree.from(entry[0])), to: this.lineEnd(entry[1]), insert: '' });
    }
    return splices;
  }

  /** Add entries to an object in block style: at its end, or behind one of its entries. */
  private additions(node: number, entries: readonly [string, unknown][], behind?: number): Splice[] {
    const { tree, layout, text } = this;
    const all = tree.entries(node);
    const indent = column(text, tree.from(all[0]![0]));
    const last = behind === undefined ? all.at(-1)! : all[behind]!;
    const lines = entries.map(([name, item]) => ' '.repeat(indent) + `${writeKey(name, layout, false)}:${writeBelowKey(item, indent, layout)}`);
    return [this.newLines(this.lineEnd(last[1]), lines)];
  }

  /** Lines at an offset where a line begins, or at the text's end. */
  private newLines(at: number, lines: readonly string[]): Splice {
    const { newline } = this.layout;
    const block = lines.join(newline);
    return at > 0 && this.text[at - 1] !== '\n' ? { from: at, to: at, insert: newline + block } : { from: at, to: at, insert: block + newline };
  }

  /** Set a field that an object does not have. `order`: names in the order in which they should stand. */
  addField(node: number, name: string, value: unknown, order: readonly string[] = []): Splice[] {
    const { tree, layout } = this;
    const entries = tree.entries(node);
    const rank = order.indexOf(name);
    let behind: number | undefined;
    if (rank > 0) {
      const before = new Set(order.slice(0, rank));
      const index = entries.findLastIndex(([key]) => before.has(tree.content(key)));
      if (index >= 0) behind = index;
    }
    if (this.staysFlow(node)) {
      return this.flowInsert(node, behind === undefined ? entries.length : behind + 1, `${writeKey(name, layout, true)}: ${writeFlow(value, layout)}`);
    }
    return entries.length === 0 ? this.rewrite(node, { [name]: value }) : this.additions(node, [[name, value]], behind);
  }

  removeField(node: number, name: string): Splice[] {
    const { tree } = this;
    const entries = tree.entries(node);
    const index = entries.findLastIndex(([key]) => tree.content(key) === name);
    if (index < 0) return [];
    if (entries.every(([key]) => tree.content(key) === name)) return this.rewrite(node, {});
    return tree.isFlow(node) ? this.flowRemove(node, index) : this.removals(node, [name]);
  }

  private items(node: number, value: readonly unknown[]): Splice[] {
    const { tree, layout } = this;
    const children = tree.children(node);
    const current = children.map((child) => valueOf(tree, child));
    let prefix = 0;
    while (prefix < current.length && prefix < value.length && equal(current[prefix], value[prefix])) prefix++;
    let suffix = 0;
    while (suffix < current.length - prefix && suffix < value.length - prefix && equal(current.at(-1 - suffix), value.at(-1 - suffix))) suffix++;
    const old = children.slice(prefix, children.length - suffix);
    const next = value.slice(prefix, value.length - suffix);
    const shared = Math.min(old.length, next.length);
    if (tree.isFlow(node) && (children.length > 0 || this.staysFlow(node))) {
      if (old.length === next.length) return old.flatMap((child, index) => this.replace(child, next[index]));
      const source = (child: number) => this.text.slice(tree.from(child), tree.to(child));
      const parts = [
        ...children.slice(0, prefix).map(source),
        ...next.map((item) => writeFlow(item, layout)),
        ...children.slice(children.length - suffix).map(source),
      ];
      return this.joined(node, parts);
    }
    if (children.length === 0) return this.rewrite(node, value);
    if (old.length === children.length && next.length === 0) return this.rewrite(node, []);
    const splices = old.slice(0, shared).flatMap((child, index) => this.replace(child, next[index]));
    for (const child of old.slice(shared)) splices.push(...this.itemRemoval(node, children.indexOf(child)));
    if (next.length > shared) splices.push(...this.insertItems(node, prefix + shared, next.slice(shared)));
    return splices;
  }

  insertItems(node: number, index: number, values: readonly unknown[]): Splice[] {
    const { tree, layout, text } = this;
    const children = tree.children(node);
    if (this.staysFlow(node)) return this.flowInsert(node, index, values.map((value) => writeFlow(value, layout)).join(', '));
    if (children.length === 0) return this.rewrite(node, values);
    const indent = column(text, this.dashOf(children[0]!));
    const lines = values.map((value) => `${' '.repeat(indent)}- ${writeItem(value, indent + 2, layout)}`);
    if (index > 0) return [this.newLines(this.lineEnd(children[Math.min(index, children.length) - 1]!), lines)];
    const dash = this.dashOf(children[0]!);
    // In front of the first item, which may share its line with something else.
    return [{ from: dash, to: dash, insert: lines.join(layout.newline).trimStart() + layout.newline + ' '.repeat(indent) }];
  }

  removeItem(node: number, index: number): Splice[] {
    const { tree } = this;
    const children = tree.children(node);
    if (children.length <= 1) return this.rewrite(node, []);
    return tree.isFlow(node) ? this.flowRemove(node, index) : this.itemRemoval(node, index);
  }

  private itemRemoval(node: number, index: number): Splice[] {
    const { text } = this;
    const children = this.tree.children(node);
    const dash = this.dashOf(children[index]!);
    const start = lineStart(text, dash);
    if (text.slice(start, dash).trim() === '') return [{ from: start, to: this.lineEnd(children[index]!), insert: '' }];
    // A list in a list: the first dash shares its line.
    return [{ from: dash, to: this.dashOf(children[index + 1]!), insert: '' }];
  }

  /** Whether what is added to a node stands in its line: an empty `{}` of a block does not grow there. */
  private staysFlow(node: number): boolean {
    const { tree } = this;
    return tree.isFlow(node) && (tree.end(node) > node + 1 || this.layout.json || this.insideFlow(node));
  }

  /** Put an item of a list at another index, with the comments above it. */
  moveItem(node: number, from: number, to: number): Splice[] {
    const { tree, text, layout } = this;
    const children = tree.children(node);
    if (from === to || !children[from] || !children[to]) return [];
    if (tree.isFlow(node)) {
      const parts = children.map((child) => text.slice(tree.from(child), tree.to(child)));
      parts.splice(to, 0, ...parts.splice(from, 1));
      return this.joined(node, parts);
    }
    const dashes = children.map((child) => this.dashOf(child));
    if (text.slice(lineStart(text, dashes[0]!), dashes[0]!).trim() !== '') {
      const values = children.map((child) => valueOf(tree, child));
      values.splice(to, 0, ...values.splice(from, 1));
      return this.items(node, values);
    }
    const starts = dashes.map((dash) => this.withRemarks(lineStart(text, dash), column(text, dash)));
    const ends = children.map((child) => this.lineEnd(child));
    const block = text.slice(starts[from]!, ends[from]!);
    const whole = block.endsWith('\n') ? block : block + layout.newline;
    const removal = { from: starts[from]!, to: ends[from]!, insert: '' };
    if (to < from) {
      if (block !== whole) removal.from -= layout.newline.length;
      return [{ from: starts[to]!, to: starts[to]!, insert: whole }, removal];
    }
    const end = ends[to]!;
    const insert = text[end - 1] === '\n' ? whole : layout.newline + whole.slice(0, -layout.newline.length);
    return [removal, { from: end, to: end, insert }];
  }

  /** The start of the comment lines directly above a line, of its own indentation. */
  private withRemarks(start: number, indent: number): number {
    for (let at = start; at > 0; ) {
      const before = lineStart(this.text, at - 1);
      const line = this.text.slice(before, at);
      if (!line.trimStart().startsWith('#') || line.length - line.trimStart().length !== indent) return at;
      at = before;
      if (at === 0) return 0;
    }
    return start;
  }

  renameField(key: number, name: string): Splice[] {
    const style = this.tree.style(key);
    const quote = style === SINGLE ? 'single' : style === DOUBLE ? 'double' : undefined;
    const insert = writeScalar(name, { flow: this.insideFlow(key), quote, preferred: this.layout.quote });
    return trimmed(this.text, { from: this.tree.from(key), to: this.tree.to(key), insert });
  }

  private flowInsert(node: number, index: number, part: string): Splice[] {
    const parts = this.flowParts(node);
    if (parts.length === 0) {
      const at = this.tree.from(node) + 1;
      return [{ from: at, to: at, insert: part }];
    }
    if (index < parts.length) {
      const at = parts[index]![0];
      return [{ from: at, to: at, insert: part + this.flowSeparator(node) }];
    }
    const at = parts.at(-1)![1];
    return [{ from: at, to: at, insert: this.flowSeparator(node) + part }];
  }

  private flowRemove(node: number, index: number): Splice[] {
    const parts = this.flowParts(node);
    if (index + 1 < parts.length) return [{ from: parts[index]![0], to: parts[index + 1]![0], insert: '' }];
    return [{ from: parts[index - 1]![1], to: parts[index]![1], insert: '' }];
  }

  private flowParts(node: number): [number, number][] {
    const { tree } = this;
    return tree.kind(node) === MAP
      ? tree.entries(node).map(([key, value]) => [tree.from(key), Math.max(tree.to(key), tree.to(value))])
      : tree.children(node).map((child) => [this.propsStart(child), tree.to(child)]);
  }

  /** Where a node begins with its anchor and tag. */
  private propsStart(node: number): number {
    const from = this.tree.from(node);
    if (this.tree.anchor(node) === undefined && this.tree.tag(node) === undefined) return from;
    return /(?:[&!][^\s,[\]{}]*\s+)+$/.exec(this.text.slice(0, from))?.index ?? from;
  }

  /** The text between the items: a comma, and the line break where each has its own line. */
  private flowSeparator(node: number): string {
    const { text } = this;
    const [first] = this.flowParts(node);
    if (first === undefined || !/^\s*\r?\n/.test(text.slice(this.tree.from(node) + 1, first[0]))) return ', ';
    return `,${this.layout.newline}${' '.repeat(column(text, first[0]))}`;
  }

  /** A flow collection of these parts in the place of a node. */
  private joined(node: number, parts: readonly string[]): Splice[] {
    const { tree, text } = this;
    const existing = this.flowParts(node);
    const from = existing[0]?.[0] ?? tree.from(node) + 1;
    const to = existing.at(-1)?.[1] ?? tree.to(node) - 1;
    return trimmed(text, { from, to, insert: parts.join(this.flowSeparator(node)) });
  }

  /** A part of the text with splices applied that lie in it. */
  private partial(from: number, to: number, splices: readonly Splice[]): string {
    const shifted = splices.map((splice) => ({ from: splice.from - from, to: splice.to - from, insert: splice.insert }));
    return spliced(this.text.slice(from, to), shifted);
  }

  // -- places --------------------------------------------------------------------------------------------------------

  private insideFlow(node: number): boolean {
    for (let parent = this.tree.parent(node); parent >= 0; parent = this.tree.parent(parent)) if (this.tree.isFlow(parent)) return true;
    return false;
  }

  /** The offsets of a value, without the end of its last line. */
  private span(node: number): [number, number] {
    const { tree, text } = this;
    let to = tree.to(node);
    const from = Math.min(tree.from(node), to);
    if (to > from && text[to - 1] === '\n') to -= text[to - 2] === '\r' ? 2 : 1;
    return [from, Math.max(from, to)];
  }

  /** A block scalar at the end of the text needs the end of its last line. */
  private withEnd(to: number, insert: string): string {
    return to === this.text.length && /(?:^|[\s:])\|[^-\n]*\n/.test(insert) ? insert + this.layout.newline : insert;
  }

  /** Where the line behind a value begins. */
  private lineEnd(node: number): number {
    const { tree, text } = this;
    let last = node;
    while ((tree.kind(last) === MAP || tree.kind(last) === SEQ) && !tree.isFlow(last) && tree.end(last) > last + 1) last = tree.children(last).at(-1)!;
    const to = tree.to(last);
    if ((tree.style(last) === LITERAL || tree.style(last) === FOLDED) && text[to - 1] === '\n') return to;
    const end = text.indexOf('\n', to);
    return end < 0 ? text.length : end + 1;
  }

  private keyOf(node: number): number {
    return this.tree.entries(this.tree.parent(node)).find(([, value]) => value === node)![0];
  }

  private keyColumn(node: number): number {
    return column(this.text, this.tree.from(this.keyOf(node)));
  }

  /** The offset of the dash of an item. */
  private dashOf(node: number): number {
    const { text } = this;
    const at = this.propsStart(node);
    let dash = text.lastIndexOf('-', at - 1);
    // A dash in a comment between the dash and the item is none.
    for (let start = lineStart(text, dash); dash >= 0 && /^[^-]*#/.test(text.slice(start, dash)); start = lineStart(text, dash)) {
      dash = text.lastIndexOf('-', start - 1);
    }
    return dash;
  }

  private itemColumn(node: number, at: number): number {
    const { text } = this;
    const dash = this.dashOf(node);
    return at > dash + 1 ? column(text, at) : column(text, dash) + 2;
  }
}

const isEmpty = (value: unknown) => Object.keys(value as object).length === 0;
