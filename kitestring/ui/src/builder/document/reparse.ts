/** The tree of a changed text, from the tree before: only the entry around the change is parsed. */
import { column, lineStart } from './layout';
import type { Splice } from './splice';
import { ABSENT, MAP, nodesOf, SEQ, Tree } from './tree';

/** The longest part of a text that is parsed at once: about 5 ms. */
const LONGEST = 20_000;

/** An entry of an object, or an item of a list, that has its lines for itself. */
interface Unit {
  /** The nodes, and the lines. */
  first: number;
  last: number;
  from: number;
  to: number;
  kind: number;
}

/**
 * The tree after splices, or undefined where the text has to be parsed whole: the change spans entries, the part is too
 * long, or it is no entry by itself any more.
 */
export function reparsed(tree: Tree, text: string, splices: readonly Splice[]): Tree | undefined {
  if (splices.length === 0 || tree.nodes.problems.length > 0) return splices.length === 0 ? tree : undefined;
  const from = Math.min(...splices.map((splice) => splice.from));
  const to = Math.max(...splices.map((splice) => splice.to));
  const shift = text.length - tree.text.length;
  // The smallest part first; a larger one where that is broken, such as by a quote that is closed further down.
  for (const unit of unitsAround(tree, from, to).reverse()) {
    if (unit.to + shift - unit.from > LONGEST) return undefined;
    const result = withUnit(tree, text, unit, shift);
    if (result) return result;
  }
  return undefined;
}

function withUnit(tree: Tree, text: string, unit: Unit, shift: number): Tree | undefined {
  const part = text.slice(unit.from, unit.to + shift);
  if (unit.to < tree.text.length && !part.endsWith('\n')) return undefined;
  if (/^(?:---|\.\.\.|%)/m.test(part)) return undefined;
  const nodes = nodesOf(part);
  if (nodes.problems.length > 0) return undefined;
  const root = new Tree(part, nodes);
  const children = root.children(0);
  const isMap = unit.kind === MAP;
  if (root.kind(0) !== unit.kind || root.isFlow(0) || children.length !== (isMap ? 2 : 1)) return undefined;
  if (root.anchor(0) !== undefined || root.tag(0) !== undefined) return undefined;
  const before = isMap ? column(tree.text, tree.from(unit.first)) : -1;
  if (isMap && column(part, root.from(children[0]!)) !== before) return undefined;
  if (isMap && root.style(children[1]!) === ABSENT) return undefined;
  if (!isMap && indentation(part) !== indentation(tree.text.slice(unit.from))) return undefined;
  return tree.replaced(text, unit.first, unit.last, nodes, 1, root.count, unit.from, shift);
}

const indentation = (text: string) => /^ */.exec(text)![0].length;

/** The parts around a change, the largest first. */
function unitsAround(tree: Tree, from: number, to: number): Unit[] {
  const units: Unit[] = [];
  let node = 0;
  for (;;) {
    const unit = unitOf(tree, node, from, to, units.at(-1)?.to ?? tree.text.length);
    if (!unit) return units;
    units.push(unit);
    node = unit.kind === MAP ? tree.end(unit.first) : unit.first;
    // An item that begins behind its dash has a first entry without a line of its own: `unitOf` passes over it.
  }
}

function unitOf(tree: Tree, node: number, from: number, to: number, limit: number): Unit | undefined {
  const kind = tree.kind(node);
  if ((kind !== MAP && kind !== SEQ) || tree.isFlow(node)) return undefined;
  const { text } = tree;
  const children = tree.children(node);
  const starts = kind === MAP ? children.filter((_, index) => index % 2 === 0) : children;
  for (let index = starts.length - 1; index >= 0; index--) {
    const begin = lineOf(tree, kind, starts[index]!);
    if (begin === undefined) return undefined;
    if (begin > from) continue;
    const next = starts[index + 1];
    const end = next === undefined ? limit : lineOf(tree, kind, next);
    // The end of the last line belongs to the part, and must stay.
    if (end === undefined || to > (end < text.length ? end - 1 : end)) return undefined;
    const last = kind === MAP ? tree.end(tree.end(starts[index]!)) : tree.end(starts[index]!);
    return { first: starts[index]!, last, from: begin, to: end, kind };
  }
  return undefined;
}

/** Where the line of a key, or of the dash of an item, begins; undefined where something else begins in this line. */
function lineOf(tree: Tree, kind: number, node: number): number | undefined {
  const { text } = tree;
  const from = tree.from(node);
  const start = lineStart(text, from);
  const head = text.slice(start, from);
  if (kind === MAP) return /^ *$/.test(head) ? start : undefined;
  if (/^ *-[ \t]+(?:[&!]\S*[ \t]+)*$|^ *-$/.test(head)) return start;
  if (head.trim() !== '') return undefined;
  // The item begins below its dash.
  for (let at = start; at > 0; ) {
    const before = lineStart(text, at - 1);
    const line = text.slice(before, at);
    if (/^ *-[ \t]*(?:#.*)?\r?\n$/.test(line)) return before;
    if (!/^\s*(?:#.*)?$/.test(line)) return undefined;
    at = before;
  }
  return undefined;
}
