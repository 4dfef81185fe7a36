/** A value without inputs of its own: its YAML, in place, with its comments. */
import { Textarea } from '@mantine/core';
import { useState } from 'react';

import type { Path } from '../document/document';
import { t } from '../../text';
import { idOf, useField, useForm } from './context';

export function YamlField({ path, label, name }: { path: Path; label: React.ReactNode; name: string }) {
  const { doc } = useForm();
  const { setSource, error, disabled } = useField(path);
  const [draft, setDraft] = useState<string>();
  const [problem, setProblem] = useState<string>();
  const origin = doc.origin(path);
  const stored = (origin && doc.source(origin.path)) ?? '';
  return (
    <Textarea
      id={idOf(path)}
      label={label}
      aria-label={typeof label === 'string' ? undefined : name}
      placeholder={t('YAML')}
      error={problem ?? error}
      disabled={disabled}
      autosize
      minRows={2}
      maxRows={20}
      spellCheck={false}
      styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 13, whiteSpace: 'pre', overflowX: 'auto' } }}
      value={draft ?? stored}
      onFocus={() => setDraft(stored)}
      onChange={(event) => setDraft(event.currentTarget.value)}
      onBlur={() => {
        if (draft === undefined || draft === stored) {
          setProblem(undefined);
          return setDraft(undefined);
        }
        try {
          setSource(draft);
          setProblem(undefined);
          setDraft(undefined);
        } catch (failure) {
          // What cannot be read stays in the field, and the text as it was.
          if (!(failure instanceof SyntaxError)) throw failure;
          setProblem(failure.message);
        }
      }}
    />
  );
}
