/** What an editor needs to know about a place of a YAML text, also where the text is not whole yet: read from its lines. */
import type { Path } from '../document/document';

export interface Place {
  /** The path of the object whose field is written, or of the value; lists count their items. */
  path: (string | number)[];
  /** The value's key, where the cursor is behind its colon. */
  key: string | undefined;
  /** The fields of the objects along the path that have a scalar in their line; the last is the innermost. */
  siblings: Map<string, string>[];
}

const LINE = /^(\s*)((?:- +)*)(-$)?(?:(["']?)([\w$][^:#"']*)\4\s*:(?:\s+(.*))?)?/;

interface Entry {
  /** The column of the key, or of an item without one. */
  column: number;
  key: string | undefined;
  value: string;
  /** The columns of the dashes before it. */
  dashes: number[];
}

/** The column of the first character of a line; none for an empty one. */
function columnOf(line: string): number {
  for (let column = 0; column < line.length; column++) if (line.charCodeAt(column) !== 32) return column;
  return Infinity;
}

function entryOf(line: string): Entry | undefined {
  if (/^\s*(?:#|$)/.test(line)) return undefined;
  const match = LINE.exec(line)!;
  const [, indent = '', marks = '', last = ''] = match;
  const dashes = [...(marks + last).matchAll(/-/g)].map((dash) => indent.length + dash.index);
  const key = match[5] !== undefined && /^\s*(?:- +)*["']?[\w$][^#]*?:(?:\s|$)/.test(line) ? match[5].trim() : undefined;
  return { column: indent.length + marks.length + last.length, key, value: (match[6] ?? '').replace(/\s+#.*$/, '').trim(), dashes };
}

/** The place of a column in a line. `line(n)`: the text of line n, from 1. */
export function placeAt(line: (number: number) => string, lines: number, number: number, column: number): Place {
  const text = line(number);
  const before = text.slice(0, column);
  const current = entryOf(text) ?? { column: Math.max(column, /^\s*/.exec(text)![0].length), key: undefined, value: '', dashes: [] };
  const behindColon = current.key !== undefined && /:\s/.test(before.slice(current.column));
  const path: (string | number)[] = [];
  const siblings: Map<string, string>[] = [];
  let at = { number, entry: current };
  let limit = current.column;
  if (text.trim() === '') limit = column;

  for (;;) {
    // The fields of the object that begins at this column.
    const fields = new Map<string, string>();
    collect(-1);
    if (at.entry.dashes.length === 0) collect(1);
    siblings.unshift(fields);

    // Out of it: an item of a list, or the value of a key further out.
    const dash = dashOf(at.number, limit);
    if (dash) {
      path.unshift(dash.index);
      limit = dash.column;
      at = { number: dash.number, entry: { ...entryOf(line(dash.number))!, column: dash.column } };
      const outer = keyAbove(dash.number, dash.column + 1, dash.column);
      if (!outer) return { path, key: behindColon ? current.key : undefined, siblings };
      path.unshift(outer.entry.key!);
      at = outer;
      limit = outer.entry.column;
      continue;
    }
    const outer = keyAbove(at.number, limit, limit);
    if (!outer) return { path, key: behindColon ? current.key : undefined, siblings };
    path.unshift(outer.entry.key!);
    at = outer;
    limit = outer.entry.column;

    function collect(step: 1 | -1) {
      for (let other = step < 0 ? at.number : at.number + 1; other >= 1 && other <= lines; other += step) {
        const entry = columnOf(line(other)) > limit ? undefined : entryOf(line(other));
        if (!entry) continue;
        const start = entry.dashes[0] ?? entry.column;
        if (entry.column === limit && entry.key !== undefined && !(step > 0 && entry.dashes.length > 0)) fields.set(entry.key, entry.value);
        if (start < limit) return;
      }
    }
  }

  /** The dash of the item whose object begins at a column, and which item of its list it is. */
  function dashOf(from: number, limit: number): { number: number; column: number; index: number } | undefined {
    for (let other = from; other >= 1; other--) {
      const entry = entryOf(line(other));
      if (!entry) continue;
      const dash = entry.dashes.findLast((mark) => mark < limit);
      if (dash !== undefined && (entry.column === limit || (entry.key === undefined && entry.value === '' && other < from) || other === from)) {
        return { number: other, column: dash, index: itemsBefore(other, dash) };
      }
      if ((entry.dashes[0] ?? entry.column) < limit) return undefined;
    }
    return undefined;
  }

  function itemsBefore(from: number, column: number): number {
    let count = 0;
    for (let other = from - 1; other >= 1; other--) {
      // Most lines of a long list are further in.
      const entry = columnOf(line(other)) > column ? undefined : entryOf(line(other));
      if (!entry) continue;
      const start = entry.dashes[0] ?? entry.column;
      if (start < column || (start === column && entry.dashes.length === 0)) break;
      if (entry.dashes.includes(column)) count++;
    }
    return count;
  }

  /** The nearest key above at a smaller column; a list may stand at the column of its key. */
  function keyAbove(from: number, limit: number, same: number): { number: number; entry: Entry } | undefined {
    for (let other = from - 1; other >= 1; other--) {
      const entry = columnOf(line(other)) >= limit ? undefined : entryOf(line(other));
      if (!entry) continue;
      if (entry.key !== undefined && entry.column < limit && !(entry.column === same && entry.dashes.length > 0)) return { number: other, entry };
      if (entry.column < Math.min(limit, same) && entry.key === undefined) return undefined;
    }
    return undefined;
  }
}

/** The path of a place as text, for messages. */
export const pathText = (path: Path) => path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`)).join('').replace(/^\./, '');
