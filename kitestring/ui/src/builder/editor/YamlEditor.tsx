/** The YAML of a manifest, with completion, help and marks at its defects. */
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, historyKeymap } from '@codemirror/commands';
import { bracketMatching, foldGutter, foldKeymap, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { lintGutter, lintKeymap, setDiagnostics } from '@codemirror/lint';
import { highlightSelectionMatches, search, searchKeymap } from '@codemirror/search';
import { EditorState, type Extension } from '@codemirror/state';
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  hoverTooltip,
  keymap,
  lineNumbers,
} from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useEffect, useRef } from 'react';

import type { Path } from '../document/document';
import type { Language } from '../document/language';
import { t } from '../../text';
import { completions, help } from './completion';
import classes from './editor.module.css';
import { folding, indentation, yamlLanguage } from './highlighting';
import type { Manifest } from './useManifest';

interface Props {
  manifest: Manifest;
  /** Completion and help; none until it is loaded. */
  language?: Language;
  readOnly?: boolean;
  /** The path at the cursor, when it moves. */
  onPlace?: (path: Path) => void;
}

export function YamlEditor({ manifest, language, readOnly = false, onPlace }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const latest = useRef({ language, onPlace });
  latest.current = { language, onPlace };
  const { store, defects } = manifest;

  useEffect(() => {
    const editor = new EditorView({
      state: store.state.update({ effects: store.presentation.reconfigure(presentation(readOnly)) }).state,
      parent: host.current!,
    });
    function presentation(fixed: boolean): Extension {
      return [
        look,
        EditorState.readOnly.of(fixed),
        EditorView.contentAttributes.of({ tabindex: '0', 'aria-label': t('YAML of the connector'), 'aria-multiline': 'true' }),
        hoverTooltip((current, offset) => (latest.current.language ? help(current.state, offset, latest.current.language) : null)),
        autocompletion({
          override: [(context) => (latest.current.language ? completions(context, latest.current.language, () => store.snapshot().doc) : null)],
          icons: false,
        }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) store.typed(update.changes);
          if (update.selectionSet && update.view.hasFocus) latest.current.onPlace?.(store.snapshot().doc.pathAt(update.state.selection.main.head));
        }),
      ];
    }
    view.current = editor;
    store.attach(editor);
    return () => {
      store.detach(editor);
      editor.destroy();
      view.current = undefined;
    };
  }, [store, readOnly]);

  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    const { length } = editor.state.doc;
    const diagnostics = defects.map(({ from, to, message, hint }) => ({
      from: Math.min(from, length),
      to: Math.min(Math.max(to, from), length),
      severity: 'error' as const,
      message: hint ? `${message}. ${hint}` : message,
    }));
    editor.dispatch(setDiagnostics(editor.state, diagnostics));
  }, [defects, store, readOnly]);

  return <div ref={host} className={classes.editor} />;
}

/** Colours by the theme's variables: they follow its light and dark scheme. */
const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--yaml-key)' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--yaml-text)' },
  { tag: tags.comment, color: 'var(--mantine-color-dimmed)', fontStyle: 'italic' },
  { tag: [tags.labelName, tags.typeName, tags.meta, tags.keyword], color: 'var(--yaml-mark)' },
]);

/** What does not depend on the page. Tab leaves the field, as everywhere. */
const look: Extension = [
  lineNumbers(),
  highlightActiveLineGutter(),
  highlightSpecialChars(),
  foldGutter({ openText: '▾', closedText: '▸' }),
  drawSelection(),
  bracketMatching(),
  closeBrackets(),
  highlightActiveLine(),
  highlightSelectionMatches(),
  search({ top: true }),
  lintGutter(),
  yamlLanguage,
  folding,
  indentation,
  syntaxHighlighting(colours),
  keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...completionKeymap, ...lintKeymap]),
  EditorView.theme({ '&': { height: '100%' }, '.cm-scroller': { overflow: 'auto' } }),
];
