/** The difference of two texts by lines: what goes, what comes, and a few lines around. */

export interface Line {
  kind: 'same' | 'removed' | 'added';
  text: string;
  /** Line numbers from 1 in the text before and after. */
  before?: number;
  after?: number;
}

const CONTEXT = 3;
/** Lines of a middle that are compared one by one; a larger one is shown as replaced. */
const MAX_MIDDLE = 3_000;

/** The runs of lines around each change; empty where the texts are equal. */
export function difference(before: string, after: string): Line[][] {
  if (before === after) return [];
  const lines = allLines(before.split('\n'), after.split('\n'));
  const changed = lines.flatMap((line, index) => (line.kind === 'same' ? [] : [index]));
  const runs: [number, number][] = [];
  for (const index of changed) {
    const [from, to] = [Math.max(0, index - CONTEXT), Math.min(lines.length, index + CONTEXT + 1)];
    const last = runs[runs.length - 1];
    if (last && from <= last[1]) last[1] = to;
    else runs.push([from, to]);
  }
  return runs.map(([from, to]) => lines.slice(from, to));
}

function allLines(before: readonly string[], after: readonly string[]): Line[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < before.length - head && tail < after.length - head && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++;
  const lines: Line[] = [];
  for (let index = 0; index < head; index++) lines.push({ kind: 'same', text: before[index]!, before: index + 1, after: index + 1 });
  lines.push(...middle(before.slice(head, before.length - tail), after.slice(head, after.length - tail), head));
  for (let index = tail; index > 0; index--) {
    const [left, right] = [before.length - index, after.length - index];
    lines.push({ kind: 'same', text: before[left]!, before: left + 1, after: right + 1 });
  }
  return lines;
}

/** By the longest common subsequence. */
function middle(before: readonly string[], after: readonly string[], head: number): Line[] {
  const [rows, columns] = [before.length, after.length];
  const removed = (index: number): Line => ({ kind: 'removed', text: before[index]!, before: head + index + 1 });
  const added = (index: number): Line => ({ kind: 'added', text: after[index]!, after: head + index + 1 });
  if (rows === 0 || columns === 0 || rows * columns > MAX_MIDDLE * MAX_MIDDLE) return [...before.map((_, index) => removed(index)), ...after.map((_, index) => added(index))];
  const width = columns + 1;
  const lengths = new Uint32Array((rows + 1) * width);
  for (let row = rows - 1; row >= 0; row--)
    for (let column = columns - 1; column >= 0; column--)
      lengths[row * width + column] =
        before[row] === after[column] ? lengths[(row + 1) * width + column + 1]! + 1 : Math.max(lengths[(row + 1) * width + column]!, lengths[row * width + column + 1]!);
  const lines: Line[] = [];
  let [row, column] = [0, 0];
  while (row < rows || column < columns) {
    if (row < rows && column < columns && before[row] === after[column]) lines.push({ kind: 'same', text: before[row]!, before: head + ++row, after: head + ++column });
    else if (row < rows && (column === columns || lengths[(row + 1) * width + column]! >= lengths[row * width + column + 1]!)) lines.push(removed(row++));
    else lines.push(added(column++));
  }
  return lines;
}
