/** Markdown as blocks: what the pages of connectors are written in. Nothing of it becomes HTML. */

export type Block =
  | { kind: 'heading'; level: number; text: string }
  | { kind: 'paragraph'; text: string }
  | { kind: 'code'; text: string }
  | { kind: 'list'; ordered: boolean; items: string[] }
  | { kind: 'table'; head: string[]; rows: string[][] };

const FENCE = /^\s*(```|~~~)/;
const ITEM = /^\s*(?:[-*+]|(\d+)[.)])\s+(.*)$/;
const RULE = /^\s*\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?\s*$/;

export function parseMarkdown(text: string): Block[] {
  const lines = text.replace(/<!--[\s\S]*?-->/g, '').split('\n');
  const blocks: Block[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at]!;
    const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(line);
    if (line.trim() === '') at += 1;
    else if (FENCE.test(line)) {
      const end = lines.findIndex((other, place) => place > at && FENCE.test(other));
      const close = end < 0 ? lines.length : end;
      blocks.push({ kind: 'code', text: lines.slice(at + 1, close).join('\n') });
      at = close + 1;
    } else if (heading) {
      blocks.push({ kind: 'heading', level: heading[1]!.length, text: heading[2]! });
      at += 1;
    } else if (line.includes('|') && RULE.test(lines[at + 1] ?? '')) {
      const start = at;
      at += 2;
      while (at < lines.length && lines[at]!.includes('|')) at += 1;
      blocks.push({ kind: 'table', head: cells(line), rows: lines.slice(start + 2, at).map(cells) });
    } else if (ITEM.test(line)) {
      const items: string[] = [];
      const ordered = ITEM.exec(line)![1] !== undefined;
      while (at < lines.length && lines[at]!.trim() !== '' && (ITEM.test(lines[at]!) || /^\s+/.test(lines[at]!))) {
        const item = ITEM.exec(lines[at]!);
        if (item) items.push(item[2]!);
        else items[items.length - 1] += ` ${lines[at]!.trim()}`;
        at += 1;
      }
      blocks.push({ kind: 'list', ordered, items });
    } else {
      const start = at;
      while (at < lines.length && lines[at]!.trim() !== '' && !FENCE.test(lines[at]!) && !/^#{1,6}\s/.test(lines[at]!) && (at === start || !ITEM.test(lines[at]!))) at += 1;
      blocks.push({ kind: 'paragraph', text: lines.slice(start, at).map((part) => part.trim()).join(' ') });
    }
  }
  return blocks;
}

/** The cells of a row; a `|` inside of code is no border. */
function cells(line: string): string[] {
  const parts: string[] = [''];
  let code = false;
  for (const character of line.trim().replace(/^\||\|$/g, '')) {
    if (character === '`') code = !code;
    if (character === '|' && !code) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts.map((part) => part.trim());
}

/** The block that speaks of a field: its heading, else its row or paragraph. -1 where there is none. */
export function blockOf(blocks: readonly Block[], name: string): number {
  if (name === '') return -1;
  const quoted = `\`${name}\``;
  const words = name.replaceAll('_', ' ').toLowerCase();
  const heading = blocks.findIndex((block) => block.kind === 'heading' && block.level > 1 && (block.text.includes(quoted) || block.text.toLowerCase() === words));
  return heading >= 0 ? heading : blocks.findIndex((block) => block.kind !== 'code' && textOf(block).includes(quoted));
}

function textOf(block: Block): string {
  if (block.kind === 'table') return block.rows.flat().join(' ');
  return block.kind === 'list' ? block.items.join(' ') : block.text;
}

/** Sentences about an installation or a file of the program: who has the form open has both. */
const OF_INSTALLATION = /pip install|kitestring\/(sources|destinations)\//;

/** What a reader of the form needs of a page: without examples of project files, shell commands and installation. */
export function besideForm(blocks: readonly Block[]): Block[] {
  return blocks.flatMap((block): Block[] => {
    if (block.kind === 'code') return /^\s*connector:/m.test(block.text) || /^\$ /m.test(block.text) ? [] : [block];
    if (block.kind !== 'paragraph' || !OF_INSTALLATION.test(block.text)) return [block];
    const text = sentences(block.text).filter((sentence) => !OF_INSTALLATION.test(sentence)).join(' ');
    return text === '' ? [] : [{ ...block, text }];
  });
}

/** The sentences of a text; a point inside of code ends none. */
function sentences(text: string): string[] {
  return text.match(/(?:`[^`]*`|[^.`]|\.(?!\s|$))+(?:\.(?=\s|$)|$)/g)?.map((sentence) => sentence.trim()).filter(Boolean) ?? [text];
}

/** A block with each of its texts changed; code stays. */
export function mapTexts(block: Block, change: (text: string) => string): Block {
  switch (block.kind) {
    case 'code':
      return block;
    case 'list':
      return { ...block, items: block.items.map(change) };
    case 'table':
      return { ...block, head: block.head.map(change), rows: block.rows.map((row) => row.map(change)) };
    default:
      return { ...block, text: change(block.text) };
  }
}
