/** Changes of a text. */

/** Replace what is between two offsets. */
export interface Splice {
  from: number;
  to: number;
  insert: string;
}

/** The text with all splices applied; their offsets are those of the text as it was. */
export function spliced(text: string, splices: readonly Splice[]): string {
  let result = '';
  let at = 0;
  for (const { from, to, insert } of inOrder(splices)) {
    result += text.slice(at, from) + insert;
    at = to;
  }
  return result + text.slice(at);
}

/** Splices by their places. Of lines that are put at the same place, those of the inner part come first. */
export function inOrder(splices: readonly Splice[]): Splice[] {
  return [...splices].sort((a, b) => a.from - b.from || a.to - b.to || depth(b) - depth(a));
}

/** The indentation of lines that are put between others. */
function depth({ from, to, insert }: Splice): number {
  return from === to && insert.includes('\n') ? /^(?:\r?\n)?( *)/.exec(insert)![1]!.length : 0;
}

/** Without what a splice would write that stands there already. */
export function trimmed(text: string, { from, to, insert }: Splice): Splice[] {
  return text.slice(from, to) === insert ? [] : [{ from, to, insert }];
}
