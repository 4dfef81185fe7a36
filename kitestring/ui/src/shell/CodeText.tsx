/** A sentence of the server, with what it puts between backticks as code. Everything else stays as it is. */
import { Code } from '@mantine/core';
import { Fragment } from 'react';

export function CodeText({ text }: { text: string }) {
  const parts = text.split('`');
  // Without its partner, a backtick is a character like others.
  if (parts.length % 2 === 0) return text;
  return parts.map((part, at) => <Fragment key={at}>{at % 2 ? <Code>{part}</Code> : part}</Fragment>);
}
