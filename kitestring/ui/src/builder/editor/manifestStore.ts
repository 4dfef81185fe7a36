/**
 * A manifest that is edited in a form and in a text editor: one text, one history, one document.
 *
 * Splices of a form are those of the text of the document that the form shows. Where the text has changed since (it is
 * typed in, and the page is drawn a moment later), they are moved to where their places are now.
 *
 * What is typed reaches the page as a transition: React draws it in small steps, and the next key never waits for that.
 */
import { history, redo, redoDepth, undo, undoDepth } from '@codemirror/commands';
import { ChangeSet, Compartment, EditorState, Transaction, type TransactionSpec } from '@codemirror/state';
import type { EditorView } from '@codemirror/view';
import { startTransition } from 'react';

import { Doc, parse, type Splice } from '../document/document';
import { inOrder } from '../document/splice';
import type { SyntaxProblem } from '../document/tree';
import { parseElsewhere } from './parseElsewhere';

/** A defect, by offsets in the text. `path`: as the server writes it, `streams[0].retriever`; empty for the whole text. */
export interface Defect {
  from: number;
  to: number;
  line: number;
  column: number;
  path: string;
  message: string;
  hint: string;
}

/** What a page is shown. A new object with each change. */
export interface ManifestSnapshot {
  text: string;
  /** The last text that could be parsed; that of `text` unless `pending` or `broken`. */
  doc: Doc;
  /** The text is being parsed. */
  pending: boolean;
  /** The text has an error of syntax: no form can edit it. */
  broken: boolean;
  /** Errors of syntax, or what the server finds. */
  defects: readonly Defect[];
  canUndo: boolean;
  canRedo: boolean;
}

/** How many documents back a form may be. */
const MOST_BEFORE = 1000;
/** How long the page waits while a text is typed. */
const TYPING_MS = 120;

export class ManifestStore {
  private view: EditorView | undefined;
  private bare: EditorState;
  private doc: Doc;
  /** The changes since the text of `doc`. */
  private sinceDoc: ChangeSet | undefined;
  private problems: readonly SyntaxProblem[] = [];
  private findings: readonly Defect[] = [];
  /** The documents before, each with the changes to the next. */
  private before: { doc: WeakRef<Doc>; next: ChangeSet }[] = [];
  private published: ManifestSnapshot;
  private listeners = new Set<() => void>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private parsing = false;
  /** The place that the next view shows. */
  private awaited: [from: number, to: number] | undefined;
  /** What only a view needs: theme, completion, marks. */
  readonly presentation = new Compartment();

  constructor(text: string) {
    this.bare = EditorState.create({
      doc: text,
      // A line ends with a line feed alone: what else stands there, stays there.
      extensions: [EditorState.lineSeparator.of('\n'), history(), this.presentation.of([])],
    });
    const doc = parse(text);
    this.doc = doc.problems.length > 0 ? parse('') : doc;
    this.problems = doc.problems;
    // What is broken from the start has no document before it; any text can follow.
    if (this.doc !== doc) this.sinceDoc = ChangeSet.of([{ from: 0, insert: text }], 0, '\n');
    this.published = this.snapshotNow();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): ManifestSnapshot => this.published;

  get state(): EditorState {
    return this.view?.state ?? this.bare;
  }

  get text(): string {
    return this.state.doc.toString();
  }

  // -- changes -------------------------------------------------------------------------------------------------------

  /** Apply splices of the text of a document: the published one, or one before that a page still shows. */
  readonly apply = (splices: readonly Splice[], doc: Doc = this.published.doc): void => {
    if (splices.length === 0) return;
    const { text } = doc;
    let changes = ChangeSet.of(inOrder(splices).map((splice) => narrowed(text, splice)), text.length, '\n');
    const since = this.changesSince(doc);
    if (since) changes = changes.map(since);
    if (changes.empty) return;
    this.dispatch({ changes, userEvent: 'input.form' });
    this.publish();
  };

  /** Replace the whole text, as one step of the history. */
  readonly replace = (text: string): void => {
    const before = this.text;
    if (before === text) return;
    this.dispatch({ changes: narrowed(before, { from: 0, to: before.length, insert: text }), userEvent: 'input.replace' });
    this.publish();
  };

  readonly undo = (): void => this.command(undo);

  readonly redo = (): void => this.command(redo);

  private changesSince(doc: Doc): ChangeSet | undefined {
    let changes = this.sinceDoc;
    if (doc === this.doc) return changes;
    for (let index = this.before.length - 1; index >= 0; index--) {
      const { doc: earlier, next } = this.before[index]!;
      changes = changes ? next.compose(changes) : next;
      if (earlier.deref() === doc) return changes;
    }
    throw new Error('the document is none of this text');
  }

  private command(run: typeof undo): void {
    run({ state: this.state, dispatch: (transaction) => this.dispatch(transaction) });
    this.publish();
  }

  private dispatch(spec: TransactionSpec | Transaction): void {
    if (this.view) this.view.dispatch(spec);
    else {
      const transaction = spec instanceof Transaction ? spec : this.bare.update(spec);
      this.bare = transaction.state;
      if (transaction.docChanged) this.changed(transaction.changes);
    }
  }

  /** What a view has changed. The page is told a moment later, so that typing never waits for it. */
  readonly typed = (changes: ChangeSet): void => {
    this.changed(changes);
    this.timer ??= setTimeout(() => startTransition(() => this.publish()), TYPING_MS);
  };

  private changed(changes: ChangeSet): void {
    this.sinceDoc = this.sinceDoc ? this.sinceDoc.compose(changes) : changes;
    this.findings = this.findings.map((defect) => ({ ...defect, from: changes.mapPos(defect.from, 1), to: changes.mapPos(defect.to, -1) }));
    this.read();
  }

  /** Bring the document to the text: by the part around the changes, or by a parse in another thread. */
  private read(): void {
    if (!this.sinceDoc) return;
    const { text } = this;
    const next = this.doc.spliced(splicesOf(this.sinceDoc), text);
    if (next) this.accept(next);
    else if (!this.parsing) void this.parse(text);
  }

  private accept(doc: Doc): void {
    if (this.sinceDoc) this.before.push({ doc: new WeakRef(this.doc), next: this.sinceDoc });
    if (this.before.length > MOST_BEFORE) this.before.shift();
    this.doc = doc;
    this.sinceDoc = undefined;
    this.problems = [];
  }

  private async parse(text: string): Promise<void> {
    this.parsing = true;
    const nodes = await parseElsewhere(text);
    this.parsing = false;
    if (!this.sinceDoc) return;
    if (this.text !== text) return void this.read();
    if (nodes.problems.length === 0) this.accept(Doc.of(text, nodes));
    else this.problems = nodes.problems;
    startTransition(() => this.publish());
  }

  /** The server's defects of a text, which may have changed since. */
  readonly setDefects = (text: string, defects: readonly Pick<Defect, 'line' | 'column' | 'path' | 'message' | 'hint'>[]): void => {
    if (text !== this.text) return;
    const { doc } = this.state;
    this.findings = defects.map((defect) => {
      const line = doc.line(Math.min(Math.max(defect.line, 1), doc.lines));
      const from = Math.min(line.from + Math.max(defect.column - 1, 0), line.to);
      return { ...defect, from, to: line.to };
    });
    startTransition(() => this.publish());
  };

  // -- the page ------------------------------------------------------------------------------------------------------

  private publish(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.published = this.snapshotNow();
    for (const listener of [...this.listeners]) listener();
  }

  private snapshotNow(): ManifestSnapshot {
    const { state, doc } = this;
    const broken = this.sinceDoc !== undefined && this.problems.length > 0;
    return {
      text: this.text,
      doc,
      pending: this.sinceDoc !== undefined && this.parsing,
      broken,
      defects: broken ? this.problems.map((problem) => syntaxDefect(state, problem)) : this.findings,
      canUndo: undoDepth(state) > 0,
      canRedo: redoDepth(state) > 0,
    };
  }

  // -- the view ------------------------------------------------------------------------------------------------------

  /** The view that shows this text from now on; it reports its changes by `typed`. */
  attach(view: EditorView): void {
    this.view = view;
    const place = this.awaited;
    this.awaited = undefined;
    if (place) this.reveal(...place);
  }

  detach(view: EditorView): void {
    if (this.view !== view) return;
    this.bare = view.state.update({ effects: this.presentation.reconfigure([]) }).state;
    this.view = undefined;
  }

  /** Show a place of the text in the editor; in the next one, where there is none yet. */
  readonly reveal = (from: number, to = from): void => {
    if (!this.view) {
      this.awaited = [from, to];
      return;
    }
    const length = this.view.state.doc.length;
    this.view.dispatch({ selection: { anchor: Math.min(from, length), head: Math.min(to, length) }, scrollIntoView: true });
    this.view.focus();
  };
}

function splicesOf(changes: ChangeSet): Splice[] {
  const splices: Splice[] = [];
  changes.iterChanges((from, to, _, __, inserted) => splices.push({ from, to, insert: inserted.toString() }));
  return splices;
}

/** Without the text at its ends that stays the same: a cursor in it stays where it is. */
function narrowed(text: string, { from, to, insert }: Splice): Splice {
  let start = 0;
  while (from + start < to && start < insert.length && text[from + start] === insert[start]) start++;
  let end = 0;
  while (to - end > from + start && insert.length - end > start && text[to - end - 1] === insert[insert.length - end - 1]) end++;
  return { from: from + start, to: to - end, insert: insert.slice(start, insert.length - end) };
}

function syntaxDefect(state: EditorState, { from, to, message }: SyntaxProblem): Defect {
  const start = Math.min(from, state.doc.length);
  const line = state.doc.lineAt(start);
  return { from: start, to: Math.min(Math.max(to, start), state.doc.length), line: line.number, column: start - line.from + 1, path: '', message, hint: '' };
}
