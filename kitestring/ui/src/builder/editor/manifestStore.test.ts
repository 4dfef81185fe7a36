/** One text for a form and an editor: the history is one, and edits of a form meet the text as it is. */
import { ChangeSet } from '@codemirror/state';
import { describe, expect, it } from 'vitest';

import { parse } from '../document/document';
import { ManifestStore } from './manifestStore';

const TEXT = `version: 6.0.0 # why
streams:
  - type: DeclarativeStream
    name: first
  - type: DeclarativeStream
    name: second
`;
const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

/** What a view does with what is typed. */
function type(store: ManifestStore, from: number, to: number, insert: string) {
  const changes = ChangeSet.of({ from, to, insert }, store.text.length, '\n');
  const transaction = store.state.update({ changes, userEvent: 'input.type' });
  Object.assign(store, { bare: transaction.state });
  store.typed(changes);
}

describe('a manifest that is edited', () => {
  it('is the text as it was, whatever ends its lines', () => {
    for (const text of [TEXT, TEXT.replaceAll('\n', '\r\n'), '\ufeff' + TEXT, 'a: 1\rb: 2\r\n', '', 'a: [', '\tx']) {
      expect(new ManifestStore(text).snapshot().text).toBe(text);
    }
  });

  it('keeps one history of edits by forms and by typing', () => {
    const store = new ManifestStore(TEXT);
    expect(store.snapshot().canUndo).toBe(false);
    store.apply(store.snapshot().doc.set(['streams', 0, 'name'], 'other'));
    const form = store.snapshot().text;
    expect(form).toBe(TEXT.replace('first', 'other'));
    expect(store.snapshot().doc.get(['streams', 0, 'name'])).toBe('other');
    type(store, form.indexOf('second'), form.indexOf('second'), 'my_');
    store.apply(store.snapshot().doc.set(['version'], '7.0.0'));
    expect(store.snapshot().text).toContain('version: 7.0.0 # why');
    expect(store.snapshot().text).toContain('my_second');
    store.undo();
    store.undo();
    expect(store.snapshot().text).toBe(form);
    store.undo();
    expect(store.snapshot()).toMatchObject({ text: TEXT, canUndo: false, canRedo: true });
    store.redo();
    expect(store.snapshot().text).toBe(form);
    expect(parse(form).get([])).toEqual(store.snapshot().doc.get([]));
  });

  it('an edit of a form that still shows a text of some changes ago meets the text as it is', () => {
    const store = new ManifestStore(TEXT);
    const { doc } = store.snapshot();
    store.apply(store.snapshot().doc.set(['streams', 0, 'name'], 'a much longer name'));
    type(store, 0, 0, '# typed\n');
    store.apply(store.snapshot().doc.set(['version'], '7.0.0'));
    store.apply(doc.set(['streams', 1, 'name'], 'other'), doc);
    const expected = TEXT.replace('first', 'a much longer name').replace('second', 'other').replace('6.0.0', '7.0.0');
    expect(store.snapshot().text).toBe('# typed\n' + expected);
    expect(() => store.apply(doc.set(['version'], '8'), parse(TEXT))).toThrow('none of this text');
  });

  it('an edit of the form meets what was typed a moment before', () => {
    const store = new ManifestStore(TEXT);
    const { doc } = store.snapshot();
    type(store, 0, 0, '# typed\n# in front\n');
    store.apply(doc.set(['streams', 1, 'name'], 'other'));
    expect(store.snapshot().text).toBe('# typed\n# in front\n' + TEXT.replace('second', 'other'));
  });

  it('a broken text keeps the last document, and mends', async () => {
    const store = new ManifestStore(TEXT);
    const at = TEXT.indexOf('first');
    type(store, at, at, '"');
    await settled();
    expect(store.snapshot()).toMatchObject({ broken: true });
    expect(store.snapshot().defects[0]!.line).toBeGreaterThan(0);
    expect(store.snapshot().doc.get(['streams', 0, 'name'])).toBe('first');
    type(store, at + 1, at + 6, 'third"');
    await settled();
    store.apply([]);
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(store.snapshot()).toMatchObject({ broken: false, pending: false, defects: [] });
    expect(store.snapshot().doc.get(['streams', 0, 'name'])).toBe('third');
  });

  it('a text that is broken from the start is read when it has been mended', async () => {
    const store = new ManifestStore('a: [1, 2\n');
    expect(store.snapshot().broken).toBe(true);
    type(store, 8, 8, ']');
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(store.snapshot().broken).toBe(false);
    expect(store.snapshot().doc.get(['a'])).toEqual([1, 2]);
  });

  it('defects of the server move with the text, and those of another text are dropped', () => {
    const store = new ManifestStore(TEXT);
    const defect = { line: 4, column: 5, path: 'streams[0].name', message: 'wrong', hint: '' };
    store.setDefects('another text', [defect]);
    expect(store.snapshot().defects).toEqual([]);
    store.setDefects(TEXT, [defect]);
    store.apply(store.snapshot().doc.set(['description'], 'words', { order: ['version', 'description'] }));
    const [moved] = store.snapshot().defects;
    expect(store.snapshot().text.slice(moved!.from, moved!.to)).toBe('name: first');
  });
});
