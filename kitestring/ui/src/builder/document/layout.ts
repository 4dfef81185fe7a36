/** The habits of a document, and values written by them: indentation, quotes, lists in one line. */
import { fitsLiteral, type Plain, type Quote, writeScalar } from './scalar';
import { DOUBLE, FLOW, MAP, SEQ, SINGLE, type Tree } from './tree';

export interface Layout {
  /** Columns that a level is indented by. */
  step: number;
  /** Columns that the dashes of a list are indented by below their key. */
  dash: number;
  quote: Quote;
  /** Whether short lists of scalars stand in one line: `[id]`. */
  shortLists: boolean;
  /** Whether it is a JSON text: every text in double quotes. */
  json: boolean;
  newline: '\n' | '\r\n';
}

/** The longest list that is written in one line. */
const LINE = 60;

export function layoutOf(tree: Tree): Layout {
  const counts = { steps: new Map<number, number>(), dashes: new Map<number, number>(), single: 0, double: 0, lists: 0, blocks: 0 };
  for (let node = 0; node < tree.count; node++) {
    const style = tree.style(node);
    if (style === SINGLE) counts.single++;
    else if (style === DOUBLE) counts.double++;
    const parent = tree.parent(node);
    const kind = tree.kind(node);
    if (kind === SEQ && tree.end(node) > node + 1 && tree.kind(node + 1) !== MAP) {
      if (style === FLOW) counts.lists++;
      else counts.blocks++;
    }
    if (parent < 0 || style === FLOW || (kind !== MAP && kind !== SEQ) || tree.kind(parent) !== MAP) continue;
    const indent = column(tree.text, tree.from(node)) - column(tree.text, tree.from(parent));
    const table = kind === MAP ? counts.steps : counts.dashes;
    if (indent >= 0) table.set(indent, (table.get(indent) ?? 0) + 1);
  }
  const step = Math.max(commonest(counts.steps, 2), 1);
  return {
    step,
    dash: commonest(counts.dashes, step),
    quote: counts.single > counts.double ? 'single' : 'double',
    shortLists: counts.lists >= counts.blocks,
    json: tree.style(0) === FLOW && tree.kind(0) === MAP && counts.single === 0 && tree.text.trimStart().startsWith('{'),
    newline: tree.text.includes('\r\n') ? '\r\n' : '\n',
  };
}

function commonest(counts: Map<number, number>, otherwise: number): number {
  let best = otherwise;
  for (const [value, count] of counts) if (count > (counts.get(best) ?? 0)) best = value;
  return best;
}

/** The column of an offset, from 0. */
export function column(text: string, offset: number): number {
  return offset - lineStart(text, offset);
}

export function lineStart(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}

export const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isScalar = (value: unknown): value is Plain | undefined => typeof value !== 'object' || value === null;
const isEmpty = (value: unknown) => (Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0);

/** A value as YAML that someone wrote: its comments and its form stay. */
export class Source {
  readonly text: string;

  constructor(
    text: string,
    /** What it means. */
    readonly value: unknown,
  ) {
    this.text = text.replace(/\r\n?/g, '\n').replace(/^(?:[ \t]*\n)+|\s+$/g, '');
  }

  /** Whether it stands behind its key, not below it. */
  get isLine(): boolean {
    return !this.text.includes('\n') && (isScalar(this.value) || /^[[{]/.test(this.text.trim()));
  }

  /** Its lines at a column; the first without its indentation. */
  at(column: number, layout: Layout): string {
    const lines = this.text.split('\n');
    const indents = lines.filter((line) => line.trim() !== '').map((line) => line.length - line.trimStart().length);
    const common = Math.min(...indents);
    return lines.map((line) => line.slice(common)).map((line, index) => (line === '' || index === 0 ? line : ' '.repeat(column) + line)).join(layout.newline);
  }
}

/** A value in one line. */
export function writeFlow(value: unknown, layout: Layout): string {
  if (value instanceof Source) return writeFlow(value.value, layout);
  if (Array.isArray(value)) return `[${value.map((item) => writeFlow(item, layout)).join(', ')}]`;
  if (isObject(value)) return `{${Object.entries(value).map(([name, item]) => `${writeKey(name, layout, true)}: ${writeFlow(item, layout)}`).join(', ')}}`;
  return writeText(value as Plain | undefined, layout, true);
}

export function writeKey(name: string, layout: Layout, flow: boolean): string {
  return writeText(name, layout, flow);
}

function writeText(value: Plain | undefined, layout: Layout, flow: boolean): string {
  return writeScalar(value ?? null, layout.json ? { flow, quote: 'double' } : { flow, preferred: layout.quote });
}

/** The text behind `key:`: one line with a space before it, or the lines below. `at` is the column of the key. */
export function writeBelowKey(value: unknown, at: number, layout: Layout): string {
  if (value instanceof Source) {
    // A block scalar begins behind its key; its lines are below it.
    if (value.isLine) return ` ${value.text.trim()}`;
    if (typeof value.value === 'string') return oneLine(value.value, layout) === undefined ? ` ${writeLiteral(value.value, at + layout.step, layout)}` : ` ${oneLine(value.value, layout)}`;
    const indent = at + (Array.isArray(value.value) ? layout.dash : layout.step);
    return layout.newline + ' '.repeat(indent) + value.at(indent, layout);
  }
  const line = oneLine(value, layout);
  if (line !== undefined) return ` ${line}`;
  if (typeof value === 'string') return ` ${writeLiteral(value, at + layout.step, layout)}`;
  const indent = at + (Array.isArray(value) ? layout.dash : layout.step);
  return layout.newline + ' '.repeat(indent) + writeBlock(value, indent, layout);
}

/** The text behind `- `. `at` is the column where it begins. */
export function writeItem(value: unknown, at: number, layout: Layout): string {
  if (value instanceof Source) {
    if (typeof value.value === 'string') return writeItem(value.value, at, layout);
    return value.at(at, layout);
  }
  const line = oneLine(value, layout);
  if (line !== undefined) return line;
  if (typeof value === 'string') return writeLiteral(value, at, layout);
  return writeBlock(value, at, layout);
}

/** The lines of an object or a list that begins at a column; the first without its indentation. */
export function writeBlock(value: unknown, at: number, layout: Layout): string {
  if (value instanceof Source) return value.at(at, layout);
  const separator = layout.newline + ' '.repeat(at);
  if (Array.isArray(value)) return value.map((item) => `- ${writeItem(item, at + 2, layout)}`).join(separator);
  return Object.entries(value as object)
    .map(([name, item]) => `${writeKey(name, layout, false)}:${writeBelowKey(item, at, layout)}`)
    .join(separator);
}

/** A text of several lines, without the end of the last one. */
export function writeLiteral(value: string, indent: number, layout: Layout, remark = ''): string {
  const lines = value.replace(/\n$/, '').split('\n');
  return `${value.endsWith('\n') ? '|' : '|-'}${remark}${lines.map((line) => layout.newline + (line ? ' '.repeat(indent) + line : '')).join('')}`;
}

/** The value where it stands in one line; undefined where it needs more. */
function oneLine(value: unknown, layout: Layout): string | undefined {
  if (isScalar(value)) return typeof value === 'string' && value.includes('\n') && fitsLiteral(value) ? undefined : writeText(value, layout, false);
  if (isEmpty(value)) return Array.isArray(value) ? '[]' : '{}';
  if (!Array.isArray(value) || !layout.shortLists || !value.every(isScalar)) return undefined;
  const line = writeFlow(value, layout);
  return line.length <= LINE ? line : undefined;
}
