import { ensureSyntaxTree, foldable, getIndentation } from '@codemirror/language';
import { EditorState } from '@codemirror/state';
import { expect, it } from 'vitest';

import { folding, indentation, yamlLanguage } from './highlighting';

const state = (doc: string) => EditorState.create({ doc, extensions: [yamlLanguage, folding, indentation] });

/** The names of the parts of a text, with what they are. */
function parts(doc: string): [string, string][] {
  const pieces: [string, string][] = [];
  ensureSyntaxTree(state(doc), doc.length)!.iterate({ enter: (node) => void (node.node.firstChild === null && node.to > node.from && pieces.push([doc.slice(node.from, node.to), node.name])) });
  return pieces;
}

it('keys, texts, comments and references are told apart', () => {
  const doc = "a b: plain # note\n'c': \"x: y\"\nd: {e: *ref, f: &mark 1}\ng: |\n  k: v # text\nh: 'two\n  lines'\n";
  const kinds = parts(doc);
  for (const key of ['a b', "'c'", 'd', 'e', 'f', 'g', 'h']) expect(kinds).toContainEqual([key, 'propertyName']);
  for (const text of ['"x: y"', '  k: v # text', "'two", "  lines'"]) expect(kinds).toContainEqual([text, 'string']);
  expect(kinds).toContainEqual(['# note', 'comment']);
  expect(kinds).toContainEqual(['*ref', 'labelName']);
});

it('what is below a line folds with it', () => {
  const doc = 'a:\n  b: 1\n\n  c: 2\nd:\n- e\n- f\ng: 1\n';
  const fold = (line: number) => {
    const { from, to } = state(doc).doc.line(line);
    const range = foldable(state(doc), from, to);
    return range && doc.slice(range.from, range.to);
  };
  expect(fold(1)).toBe('\n  b: 1\n\n  c: 2');
  expect(fold(5)).toBe('\n- e\n- f');
  expect(fold(8)).toBeNull();
});

it('a new line is indented by the one above', () => {
  const doc = 'a:\n\n  - b: 1\n\n';
  expect(getIndentation(state(doc), 3)).toBe(2);
  expect(getIndentation(state(doc), doc.length - 1)).toBe(4);
});
