/** A description of a spec: renders `code`, **bold** and links of Markdown or HTML; drops other markup. */
import { Anchor, Code } from '@mantine/core';
import { Fragment, type ReactNode } from 'react';

const PARTS =
  /`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\(([^)\s]+)\)|<a\s[^>]*href=["'](https?:\/\/[^"']+)["'][^>]*>(.*?)<\/a>|(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])/gis;

export function RichText({ text }: { text: string }) {
  const nodes: ReactNode[] = [];
  let end = 0;
  for (const part of text.matchAll(PARTS)) {
    nodes.push(stripTags(text.slice(end, part.index)));
    const [, code, bold, title, address, target, inside, italic] = part;
    if (code) nodes.push(<Code>{code}</Code>);
    else if (bold) nodes.push(<b>{bold}</b>);
    else if (italic) nodes.push(<em>{italic}</em>);
    // A link inside of the documentation leads nowhere on this page: its words stay.
    else if (address && !/^https?:\/\//.test(address)) nodes.push(stripTags(title ?? ''));
    else
      nodes.push(
        <Anchor href={address ?? target} target="_blank" rel="noreferrer" inherit underline="always">
          {title ?? stripTags(inside ?? '')}
        </Anchor>,
      );
    end = part.index + part[0].length;
  }
  nodes.push(stripTags(text.slice(end)));
  return nodes.map((node, n) => <Fragment key={n}>{node}</Fragment>);
}

function stripTags(text: string): string {
  return text.replace(/<\/?[a-z][^>]*>/gi, ' ').replace(/&nbsp;/g, ' ').replace(/&amp;/g, '&').replace(/&lt;/g, '<').replace(/&gt;/g, '>');
}
