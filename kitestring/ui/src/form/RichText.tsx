/** A description out of a spec: `code`, **bold** and links of Markdown or HTML; any other markup is left out. */
import { Anchor, Code } from '@mantine/core';
import { Fragment, type ReactNode } from 'react';

const PARTS =
  /`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\((https?:\/\/[^)\s]+)\)|<a\s[^>]*href=["'](https?:\/\/[^"']+)["'][^>]*>(.*?)<\/a>/gis;

export function RichText({ text }: { text: string }) {
  const found: ReactNode[] = [];
  let end = 0;
  for (const part of text.matchAll(PARTS)) {
    found.push(bare(text.slice(end, part.index)));
    const [, code, bold, title, address, target, inside] = part;
    if (code) found.push(<Code>{code}</Code>);
    else if (bold) found.push(<b>{bold}</b>);
    else
      found.push(
        <Anchor href={address ?? target} target="_blank" rel="noreferrer" inherit underline="always">
          {title ?? bare(inside ?? '')}
        </Anchor>,
      );
    end = part.index + part[0].length;
  }
  found.push(bare(text.slice(end)));
  return found.map((one, n) => <Fragment key={n}>{one}</Fragment>);
}

function bare(text: string): string {
  return text.replace(/<\/?[a-z][^>]*>/gi, ' ').replace(/&nbsp;/g, ' ').replace(/&amp;/g, '&').replace(/&lt;/g, '<').replace(/&gt;/g, '>');
}
